"""Set up a search over the cells of a command line from what is stored, and run it."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import compress
from pathlib import Path

from mps_experiments.config.cells import Grid, Request
from mps_experiments.config.places import new_folder
from mps_experiments.errors import ConfigError, Interrupted
from mps_experiments.machine.facts import collect_facts
from mps_experiments.machine.gpus import GpuProbe
from mps_experiments.mps.logs import client_limit, cuda_version
from mps_experiments.record.axes import COORDINATES, key_of
from mps_experiments.record.machine import MachineFacts
from mps_experiments.record.measurement import read_measurement
from mps_experiments.record.run_paths import RunPaths
from mps_experiments.report.terminal import Terminal, complain
from mps_experiments.sweep.lookup import unreadable
from mps_experiments.sweep.opening import open_sweep
from mps_experiments.sweep.preflight import plan_cells
from mps_experiments.sweep.recommend.agenda import SearchAgenda, SearchGrid
from mps_experiments.sweep.recommend.aim import Aim
from mps_experiments.sweep.recommend.answer import Answer
from mps_experiments.sweep.recommend.files import MODULE, NAME, tell
from mps_experiments.sweep.recommend.stored import StoredRuns, fingerprints
from mps_experiments.sweep.recommend.study import Study
from mps_experiments.sweep.sweep import Sweep
from mps_experiments.sweep.unused import unused_line


@dataclass(frozen=True, kw_only=True)
class Task:
    """A search that is set up.

    Attributes:
        left_out: A line for each cell that no search can include.
        output_dir: Where stored runs were looked for.
        unused: How many of them do not count, and why; empty if all do.
    """

    request: Request
    grid: Grid
    agenda: SearchAgenda
    left_out: Sequence[str]
    output_dir: Path
    unused: str

    @property
    def study(self) -> Study:
        return self.agenda.study

    def run(self, typed: list[str], probe: GpuProbe, lock_folder: Path) -> int:
        """Measure what is lacking, then say, draw and write the answer."""
        terminal, code = Terminal(None), 0
        if self.unused:
            terminal.line(self.unused)
        measures = not self.study.search.is_over(self.agenda.fits)
        if not measures:
            self.agenda.say_what_would_fit()
            folder = new_folder(self.output_dir / NAME)
            if line := self.agenda.noise_line():
                terminal.line(line)
        else:
            folder = self.grid.folder
            terminal.line(self.agenda.opening_line())
            try:
                code = self._measure(typed, probe, lock_folder)
            except Interrupted:
                if any(self.study.runs):
                    tell(self.study, folder, typed, self.left_out, is_printed=True)
                raise
        answer = tell(self.study, folder, typed, self.left_out, is_printed=measures)
        return code or int(answer.chosen is None and not self.study.lacks_hardware)

    def _decision(self) -> list[str]:
        return [*Answer(self.study).lines(), *self.left_out]

    def _measure(self, typed: list[str], probe: GpuProbe, lock_folder: Path) -> int:
        grid = SearchGrid(**vars(self.grid), agenda=self.agenda)
        request = replace(self.request, grid=grid)
        with open_sweep(
            request, typed, probe, lock_folder, make_agenda=lambda *_: self.agenda, module=MODULE
        ) as sweep:
            sweep.can_resume, sweep.decide = False, self._decision
            sweep.varied |= {"repeat", "window_s"} if self.agenda.adapts_window else {"repeat"}
            self.agenda.begin = partial(_take_over, sweep, self.study)
            try:
                sweep.run(request)
            except Interrupted:
                self.agenda.take_last()
                self.study.search.stopped = "interrupted; the same command goes on from what is stored"
                self.study.more_blocks = "the same command goes on"
                raise
        return sweep.exit_code


def set_up(
    request: Request, aim: Aim, probe: GpuProbe, budget_s: float, started: float, adapts_window: bool
) -> Task:
    """Read what is stored, and rule out what cannot work on paper.

    Raises:
        ConfigError: If a cell cannot work, or there are no figures here for what is asked.
    """
    grid = request.grid
    assert grid is not None  # noqa: S101 - the command line has no flag that only shows something
    if not grid.cells:
        raise ConfigError("hydra.sweeper", "", "a search decides itself what runs; leave the sweeper out")
    plans = plan_cells(request.cells, probe, [cell.folder for cell in grid.cells])
    if all(plan.device.is_cpu for plan in plans):
        aim.refuse_without_gpu()
    clients = client_limit(cuda_version(probe.cuda_driver_version()))
    kept = [not plan.mps.enabled or plan.worker_count <= clients for plan in plans]
    if not any(kept):
        raise ConfigError("procs", "", f"an MPS server takes {clients} clients here; give {clients} at most")
    cells, left = tuple(compress(grid.cells, kept)), tuple(compress(plans, kept))
    gpus = {plan.device.uuid: plan.device.gpu for plan in left}
    machines = {uuid: collect_facts(probe, gpu) for uuid, gpu in gpus.items()}
    agenda = SearchAgenda(
        study=Study(aim, cells, left, request.varied),
        machine=next(iter(machines.values())),
        budget_s=budget_s,
        started=started,
        adapts_window=adapts_window and any(limit.flag == "--p99-ms" for limit in aim.limits),
    )
    output_dir = cells[0].config.output_path
    unused = _read_stored(agenda, output_dir, machines)
    agenda.study.exclude_on_paper(agenda.machine)
    return Task(
        request=request,
        grid=replace(grid, cells=cells),
        agenda=agenda,
        left_out=[
            f"excluded: {plan.name}: an MPS server takes {clients} clients here"
            for plan in plans
            if plan not in left
        ],
        output_dir=output_dir,
        unused=unused,
    )


def _read_stored(agenda: SearchAgenda, output_dir: Path, machines: Mapping[str | None, MachineFacts]) -> str:
    """Add the stored runs of all cells, and say which runs do not count.

    A window for p99 is chosen by the runs of the reference.
    """
    study, stored = agenda.study, StoredRuns(output_dir)
    if line := unreadable(stored.problems):
        complain(line)
    wanted = list(fingerprints(study.cells, study.plans, machines))
    if agenda.adapts_window and (pilots := stored.of(wanted[study.search.reference])):
        agenda.adapts_window = False
        agenda.window_s = study.window_s(pilots[0].run, agenda.budget_s)
    if agenda.window_s is not None:
        axes = {"window_s": agenda.window_s}
        wanted = [replace(each, configuration=each.configuration | axes) for each in wanted]
    for arm, fingerprint in enumerate(wanted):
        for found in stored.of(fingerprint):
            study.add_stored(arm, found.run, found.path)
    return unused_line(list(stored.unused(wanted)), wanted)


def _take_over(sweep: Sweep, study: Study) -> None:
    """Let the stored runs be part of the sweep: its report, its MLflow run and its sweep.json have them."""
    ledger, folder = sweep.ledger, sweep.ledger.folder
    assert folder is not None  # noqa: S101 - the sweep was begun
    in_names = sweep.varied - {*COORDINATES, "repeat"}
    for arm, path in study.stored:
        now, run = time.monotonic(), read_measurement(path)
        words = (text for text in study.cells[arm].overrides if key_of(text) in in_names)
        plan = replace(
            study.plans[arm],
            varied=(*words, f"repeat={run.cell.repeat}"),
            paths=RunPaths(folder=folder / "stored" / run.record_id),
        )
        ledger.take_over(run, path.parent, plan.name)
        ledger.log()
        ledger.note(plan, run, now, time.monotonic(), resumed_from=path)
