"""All cells of one command line: refused together, run one by one, compared at the end."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from mps_experiments.config.cells import Grid, Request
from mps_experiments.config.composer import Cell, recorded, to_config
from mps_experiments.config.jobs import hydra_jobs
from mps_experiments.errors import ConfigError, Interrupted, RecordError
from mps_experiments.machine.core_locks import CoreLocks
from mps_experiments.machine.facts import collect_facts
from mps_experiments.machine.gpu_lock import GpuLocks
from mps_experiments.machine.gpus import GpuProbe
from mps_experiments.machine.signals import held_back
from mps_experiments.mps.guardian import Guardian
from mps_experiments.record.axes import COORDINATES, key_of
from mps_experiments.record.measurement import Measurement
from mps_experiments.record.run_paths import make_way
from mps_experiments.record.verdict import Status
from mps_experiments.report.lines import cell_line
from mps_experiments.report.terminal import Terminal, complain
from mps_experiments.run.fingerprint import of_plan
from mps_experiments.run.mps_check import MpsCheck
from mps_experiments.run.plan import RunPlan, build_plan
from mps_experiments.run.runner import Outcome, Surroundings, run_cell
from mps_experiments.run.trials import CellRun, runs_of
from mps_experiments.sweep.afterwork import Afterwork
from mps_experiments.sweep.agenda import Agenda, Job
from mps_experiments.sweep.forecast import Forecast
from mps_experiments.sweep.ledger import Ledger, check_room
from mps_experiments.sweep.lookup import unreadable
from mps_experiments.sweep.preflight import lock_gpus, take_cores
from mps_experiments.sweep.reporting import show_sweep, sweep_report
from mps_experiments.sweep.resume import EarlierRuns, Kept
from mps_experiments.workers.context import process_context

_SETTLE_TIMEOUT_S = 600.0  # no option: what MLflow may take has a deadline of its own


@dataclass
class Sweep:
    """One command line while it runs.

    Attributes:
        hold: Keeps the folder of a sweeper that decides as it goes to this sweep; called once.
        decide: Returns the decision, a line each, of the search that the sweep is made for; None if the
            runs are to speak for themselves.
    """

    ledger: Ledger
    probe: GpuProbe
    guardian: Guardian
    locks: GpuLocks
    cores: CoreLocks
    mps_check: MpsCheck
    terminal: Terminal
    agenda: Agenda
    hold: Callable[[Path], None]
    weights_sha256: dict[str, str | None]
    plans: Sequence[RunPlan] = ()
    varied: frozenset[str] = frozenset()
    planned: int = 0
    forecast: Forecast = field(default_factory=Forecast)
    told_skips: frozenset[str] = frozenset()
    writes_report: bool = False
    can_resume: bool = True
    decide: Callable[[], Sequence[str]] | None = None
    interruption: Interrupted | None = None
    afterwork: Afterwork = field(default_factory=Afterwork)
    _surroundings: dict[str | None, Surroundings] = field(default_factory=dict)
    _earlier: EarlierRuns | None = None
    _begun: int = 0
    _is_open: bool = False  # whether the last cell that was begun still lacks a run

    def run(self, request: Request) -> None:
        """Run all cells, and those of the blocks that are added, in the agenda's order.

        Raises:
            ConfigError: If the sweep's folder cannot be written.
            Interrupted: If a signal ended a cell; its record has been written.
        """
        grid = request.grid
        assert grid is not None  # noqa: S101 - a request that runs nothing opens no sweep
        with hydra_jobs(grid, request.multirun) as run_job:
            if request.multirun:
                self._found(grid.folder)
            for job in self.agenda.arrange(self.ledger.measurements, self._expect):
                cell, plan = self._planned(grid, job)
                self._begun += 1
                self._is_open = True
                try:
                    run_job(cell, partial(self._run_cell, plan, cell.overrides))
                except OSError as error:
                    reason = f"its folder cannot be written ({error.strerror or error})"
                    self._refuse(replace(plan, varied=self._varied(cell.overrides)).name, RecordError(reason))
                    self._is_open = False

    def _planned(self, grid: Grid, job: Job) -> tuple[Cell, RunPlan]:
        """Return what was composed and planned before the first run, but for a block that is added."""
        if job.number < len(grid.cells):
            return grid.cells[job.number], self.plans[job.number]
        with held_back():  # Hydra is not safe against being interrupted
            cell = grid.again(job.number, of=job.cell, repeat=job.block)
        return cell, build_plan(cell.config, self.probe, cell.folder)

    def _expect(self, runs: int, why: str) -> None:
        self.planned += runs
        self.forecast.expect(runs)
        self.terminal.expect(runs)
        if why:
            self.terminal.line(why)

    def _found(self, folder: Path) -> None:
        """Note the sweep's folder; one that is killed in its first cell is known, too."""
        if self.ledger.folder is None:
            self.ledger.folder = folder
            self.ledger.write_summary("RUNNING")

    def __call__(self, composed: DictConfig) -> None:
        """Run one cell that a sweeper brings which decides as it goes: Hydra's task function.

        Raises:
            Interrupted: If a signal ended the cell; its record has been written.
        """
        self._begun += 1
        self._is_open = True
        hydra = HydraConfig.get()
        folder = Path(hydra.runtime.output_dir).absolute()
        overrides = tuple(hydra.overrides.task)
        try:
            if self.ledger.folder is None:
                self.hold(Path(hydra.sweep.dir).absolute())
            self._found(Path(hydra.sweep.dir).absolute())
            plan = build_plan(to_config(composed), self.probe, folder)
            lock_gpus(self.locks, [plan])
            take_cores(self.cores, [plan], self.probe)
            self.mps_check.check(plan)
        except ConfigError as error:  # it could not be checked before
            self._refuse(" ".join(overrides), error)
            self._is_open = False
            return
        self._run_cell(plan, overrides, composed)

    def _run_cell(self, plan: RunPlan, overrides: Sequence[str], composed: DictConfig) -> None:
        """Run one cell: for each of its runs record on disk, then MLflow, then the line."""
        self._found(plan.paths.folder)
        plan = replace(plan, varied=self._varied(overrides))
        if self.agenda.turn is not None and self.agenda.turn.is_twin:
            plan = plan.as_twin()
        runs = list(runs_of(plan, recorded(composed), overrides))
        for run in runs:
            self._run(run, is_last=run is runs[-1])

    def _run(self, run: CellRun, is_last: bool) -> None:
        """Run one run of a cell.

        Raises:
            Interrupted: If a signal ended it; its record has been written.
        """
        started, plan = time.monotonic(), run.plan
        if (kept := self._kept_for(run)) is not None:
            self._is_open = not is_last
            self._resume(run, kept, started)
            return
        self.terminal.cell_started(plan.name, plan.iteration_count)
        folder = plan.paths.folder
        if folder in self.ledger.places.values():
            self._settle()  # its files are those of a run of this sweep, which are logged first
        try:
            check_room(folder, int(run.config["min_free_disk_mb"]))
            assert self.ledger.folder is not None  # noqa: S101 - `_found` named it
            make_way(folder, self.ledger.folder)
        except RecordError as error:
            self._is_open = not is_last
            self._refuse(plan.name, error)
            self._count_down(plan)
            return
        with held_back():  # until the record is on disk
            outcome = run_cell(
                plan,
                self._surroundings_of(plan),
                overrides=run.overrides,
                config=run.config,
                weights_file_sha256=self.weights_sha256.get(plan.workloads[0].weights),
            )
            recorded = time.monotonic()
            self._settle()
            self.ledger.keep(outcome.measurement, plan)
            self._is_open = not is_last or outcome.interruption is not None
            times_s = (started, recorded, time.monotonic())
            self.afterwork.add(partial(self._complete, plan, outcome, times_s))
        verdict = outcome.measurement.verdict
        was_told = verdict.status is Status.SKIPPED and verdict.reason in self.told_skips
        remark = f"  ({run.remark})" if run.remark else ""
        line = cell_line(outcome.measurement, _from_here(folder))
        self.terminal.cell_finished("" if was_told else f"{line}{remark}")
        self._count_down(plan, outcome.measurement, recorded - started)
        if outcome.interruption is not None:
            raise outcome.interruption

    def _count_down(self, plan: RunPlan, measurement: Measurement | None = None, took_s: float = 0.0) -> None:
        """Say how much time is left; once, if the first run shows that it is an hour or more."""
        hint = self.forecast.finish(plan, measurement, took_s)
        self.terminal.remaining(self.forecast.words)
        if hint:
            self.terminal.line(hint)

    def _complete(self, plan: RunPlan, outcome: Outcome, times_s: tuple[float, float, float]) -> None:
        """Write the files of a run whose record is on disk, log it, note it; while the next workers load."""
        begun, measurement = time.monotonic(), outcome.measurement
        if outcome.artifacts is not None and (missing := outcome.artifacts.write()):
            measurement = self.ledger.add_missing(measurement, missing)
        try:
            self.ledger.log()
        finally:
            self.ledger.note(plan, measurement, *times_s, begun)

    def _settle(self) -> None:
        """Wait for what is left of the run before: only one thread at a time has the ledger."""
        if not self.afterwork.settle(_SETTLE_TIMEOUT_S):
            complain(f"the files of the previous run are still being written after {_SETTLE_TIMEOUT_S:g} s")

    def _kept_for(self, run: CellRun) -> Kept | None:
        """Return the VALID record of an earlier sweep that stands for this run, if it is to be looked for."""
        if not run.config["resume"]:
            return None
        if self._earlier is None:
            self._earlier = EarlierRuns(Path(run.config["output_dir"]))
            if line := unreadable(self._earlier.problems):
                complain(line)
        weights_sha256 = self.weights_sha256.get(run.plan.workloads[0].weights)
        machine = self._surroundings_of(run.plan).machine
        wanted = of_plan(run.plan, run.config, machine, weights_sha256)
        kept = self._earlier.take(wanted)
        if kept is None and (why_not := self._earlier.why_not(wanted)):
            self.terminal.line(f"{run.plan.name}: {why_not}")
        return kept

    def _resume(self, run: CellRun, kept: Kept, started: float) -> None:
        """Let an earlier record take this run's place."""
        self._settle()
        recorded = time.monotonic()
        self.ledger.take_over(kept.measurement, kept.folder, run.plan.name)
        self.ledger.log()
        self.ledger.note(run.plan, kept.measurement, started, recorded, resumed_from=kept.path)
        self.terminal.cell_finished(f"{run.plan.name}: {kept.line}")
        self._count_down(run.plan)

    def _refuse(self, name: str, error: Exception) -> None:
        self._settle()
        self.ledger.refuse(name, str(error))
        self.terminal.cell_finished(f"{name}: REFUSED: {error}")

    def _varied(self, overrides: Sequence[str]) -> tuple[str, ...]:
        """Return what this cell sets that others set otherwise, beside what every name says already."""
        varied = self.varied - {*COORDINATES, "fault"}
        return tuple(text for text in overrides if key_of(text) in varied)

    def _surroundings_of(self, plan: RunPlan) -> Surroundings:
        uuid = plan.device.uuid
        if uuid not in self._surroundings:
            self._surroundings[uuid] = Surroundings(
                sweep_id=self.ledger.info.sweep_id,
                machine=collect_facts(self.probe, plan.device.gpu, self.cores.usable),
                probe=self.probe,
                guardian=self.guardian,
                context=process_context,
                watcher=self.terminal,
                cores=self.cores.own if self.cores.are_taken else None,
                meanwhile=self.afterwork.begin,
                is_quiet=self.afterwork.is_done,
            )
        return self._surroundings[uuid]

    def finish(self) -> None:
        """Print the answer, tables, and where to look next; also when cells failed or a signal came."""
        self._settle()
        self.ledger.look_for_records()
        ledger, measurements = self.ledger, self.ledger.measurements
        status = "KILLED" if self.interruption else "FINISHED" if self._cells_are_fine else "FAILED"
        folder = ledger.folder if self.writes_report else None
        precision = self.agenda.goal.precision if self.agenda.goal else 0.0
        decided = tuple(self.decide()) if self.decide is not None else ()
        ledger.order = self.agenda.summary() | ({"decided": decided} if decided else {})
        ledger.write_summary(status)  # the report and MLflow take a while, in which a signal may come
        cut_off, command = self.interruption is not None, ledger.info.command
        report = sweep_report(measurements, ledger.places, folder, command, precision, decided, cut_off)
        show_sweep(self.terminal, report, measurements, decided)
        if self.agenda.stopped:
            self.terminal.line(f"precision: {self.agenda.stopped}")
        ledger.finish(report, status)
        if self.interruption is not None and self.planned:
            what = f"interrupted: {self._begun - self._is_open} of {self.planned} runs were finished"
            how = "; the same command with resume=true runs the others" if self.can_resume else ""
            self.terminal.line(f"{what}{how}")
        for line in ledger.places_to_look(report):
            self.terminal.to_copy(line)

    @property
    def exit_code(self) -> int:
        """Return 0 only if every cell is VALID, or SKIPPED for want of hardware, recorded and tracked."""
        return 0 if self._cells_are_fine and self.ledger.tracking_problem is None else 1

    @property
    def _cells_are_fine(self) -> bool:
        measurements = self.ledger.measurements
        fine = all(measurement.verdict.is_success for measurement in measurements)
        all_begun = self._begun >= self.planned or self.interruption is not None
        amiss = self.ledger.refused + self.ledger.misplaced
        return bool(fine and measurements and not amiss and all_begun)


def _from_here(folder: Path) -> Path:
    """Shorten a path below the current folder."""
    return folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
