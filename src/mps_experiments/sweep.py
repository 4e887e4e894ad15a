"""All cells of one command line: refused together, run one by one, compared at the end."""

import contextlib
import json
import multiprocessing.util
import shlex
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from mps_experiments.composition import Request, key_of, to_config
from mps_experiments.disk import write_atomically
from mps_experiments.errors import ConfigError, Interrupted, RecordError, TrackingError
from mps_experiments.machine.facts import collect_facts
from mps_experiments.machine.gpus import GpuProbe
from mps_experiments.mps.guardian import Guardian
from mps_experiments.plan import RunPlan, build_plan
from mps_experiments.preflight import prepare
from mps_experiments.record import Measurement, write_measurement
from mps_experiments.report.lines import cell_line
from mps_experiments.report.summary import summary_text, why_lines
from mps_experiments.report.tables import tables
from mps_experiments.runner import Surroundings, run_cell
from mps_experiments.signals import held_back
from mps_experiments.terminal import Terminal, complain
from mps_experiments.tracking.tracker import SweepInfo, Tracker
from mps_experiments.workers.context import process_context

SUMMARY = "sweep.json"


@dataclass
class Sweep:
    """One command line while it runs; `run_cell` is Hydra's task function."""

    info: SweepInfo
    probe: GpuProbe
    guardian: Guardian
    terminal: Terminal
    tracker: Tracker
    weights_sha256: dict[str, str | None]
    varied: frozenset[str] = frozenset()
    measurements: list[Measurement] = field(default_factory=list)
    totals: list[dict[str, object]] = field(default_factory=list)
    refused: int = 0
    folder: Path | None = None
    interruption: Interrupted | None = None
    _surroundings: dict[str | None, Surroundings] = field(default_factory=dict)
    _tracking_failed: str | None = None
    _untracked: list[tuple[Measurement, Path]] = field(default_factory=list)
    _summary_written: bool = False

    def run_cell(self, composed: DictConfig) -> None:
        """Run one composed cell: record on disk, then MLflow, then the line.

        Raises:
            Interrupted: If a signal ended the cell; its record has been written.
        """
        started = time.monotonic()
        hydra = HydraConfig.get()
        folder = Path(hydra.runtime.output_dir).absolute()
        self.folder = folder.parent if self.info.is_sweep else folder
        try:
            plan = build_plan(to_config(composed), self.probe, folder)
        except ConfigError as error:  # a sweeper that decides as it goes could not be checked before
            self.refused += 1
            self.terminal.cell_finished(f"REFUSED: {error}")
            return
        plan = replace(plan, name=" ".join([plan.name, *self._varied(hydra.overrides.task)]))
        self.terminal.cell_started(plan.name, plan.worker_count * plan.iterations_per_worker)
        with held_back():  # until the record is on disk
            outcome = run_cell(
                plan,
                self._surroundings_of(plan),
                overrides=tuple(hydra.overrides.task),
                config=_plain(composed),
                weights_file_sha256=self.weights_sha256.get(plan.workloads[0].weights),
            )
            recorded = time.monotonic()
            self._keep(outcome.measurement, plan)
            self._untracked.append((outcome.measurement, folder))
        self._log_untracked()
        self.totals.append(
            {
                "folder": str(folder.relative_to(self.folder)),
                "name": plan.name,
                "verdict": outcome.measurement.verdict.status.value,
                "total_s": time.monotonic() - started,
                "record_and_tracking_s": time.monotonic() - recorded,
            }
        )
        self._write_summary("RUNNING")
        self.terminal.cell_finished(cell_line(outcome.measurement))
        if outcome.interruption is not None:
            raise outcome.interruption

    def _varied(self, overrides: Sequence[str]) -> list[str]:
        """What this cell sets that others set otherwise, beside what every name says already."""
        return [text for text in overrides if key_of(text) in self.varied - {"mps", "procs", "times"}]

    def _surroundings_of(self, plan: RunPlan) -> Surroundings:
        uuid_or_none = plan.device.gpu.uuid if plan.device.gpu else None
        if uuid_or_none not in self._surroundings:
            self._surroundings[uuid_or_none] = Surroundings(
                sweep_id=self.info.sweep_id,
                machine=collect_facts(self.probe, plan.device.gpu),
                probe=self.probe,
                guardian=self.guardian,
                context=process_context,
                watcher=self.terminal,
            )
        return self._surroundings[uuid_or_none]

    def _keep(self, measurement: Measurement, plan: RunPlan) -> None:
        """Disk first: what MLflow refuses can be logged later from there."""
        self.measurements.append(measurement)
        try:
            write_measurement(measurement, plan.paths.measurement)
        except RecordError as error:
            self.refused += 1
            complain(str(error))

    def _log_untracked(self) -> None:
        """Log what is on disk only; a cell that a signal kept from being logged gets its turn at the end."""
        while self._untracked and self._tracking_failed is None:
            measurement, folder = self._untracked[0]
            self._track(partial(self.tracker.log_cell, measurement, folder, measurement.was_interrupted))
            self._untracked.pop(0)

    def _track(self, call: Callable[[], object]) -> None:
        """After its first failure the tracker is not asked again: each time would cost a deadline."""
        if self._tracking_failed is not None:
            return
        try:
            call()
        except TrackingError as error:
            self._tracking_failed = str(error)
            complain(f"{error}; the records stay on disk and can be logged later")

    def start(self) -> None:
        """Open the parent run."""
        self._track(lambda: self.tracker.start_sweep(self.info))

    def finish(self) -> None:
        """Tables, ratios, sweep.json and where to look next; also when cells failed or a signal came."""
        if self.measurements:
            self.terminal.show(tables(self.measurements))
            for line in why_lines(self.measurements):
                self.terminal.line(line)
        status = "KILLED" if self.interruption else "FINISHED" if self._cells_are_fine else "FAILED"
        text = summary_text(self.measurements)
        self._log_untracked()
        self._track(lambda: self.tracker.finish_sweep(self.measurements, text, status))
        if self.folder is None:
            return
        self._write_summary(status)
        with contextlib.suppress(OSError):
            write_atomically(self.folder / "tables.txt", text.encode())
        self.terminal.line(f"records: {self.folder}")
        if self._tracking_failed is not None:
            command = [sys.executable, "-m", "mps_experiments.sync", str(self.folder)]
            self.terminal.line(
                f"MLflow is missing runs ({self._tracking_failed}); log them later: {shlex.join(command)}"
            )
        else:
            self.terminal.line(self.tracker.browse_hint())

    @property
    def exit_code(self) -> int:
        """0 only if every cell is VALID, or SKIPPED for want of hardware, and was recorded and tracked."""
        return 0 if self._cells_are_fine and self._tracking_failed is None else 1

    @property
    def _cells_are_fine(self) -> bool:
        fine = all(measurement.verdict.is_success for measurement in self.measurements)
        return bool(fine and self.measurements and not self.refused)

    def _write_summary(self, status: str) -> None:
        """sweep.json, after each cell: it lets a sweep that was killed be logged as one later."""
        if self.folder is None:
            return
        summary = {
            "sweep_id": self.info.sweep_id,
            "command": self.info.command,
            "is_sweep": self.info.is_sweep,
            "status": status,
            "cells": self.totals,
        }
        content = json.dumps(summary, indent=1).encode()
        with contextlib.suppress(OSError):  # the records say the same, cell by cell
            write_atomically(self.folder / SUMMARY, content, keep_earlier=not self._summary_written)
            self._summary_written = True


@contextlib.contextmanager
def open_sweep(request: Request, arguments: list[str], probe: GpuProbe) -> Iterator[Sweep]:
    """Refuse what cannot work, then open all that the cells share; the tables come when the block is left.

    Raises:
        ConfigError: If any cell of the sweep cannot work. Nothing has been started on the GPU.
    """
    prepared = prepare(request.cells, probe)
    # What multiprocessing keeps for the fork server; it removes it itself unless this process is killed.
    temporary = Path(multiprocessing.util.get_temp_dir())
    with (
        Guardian() as guardian,
        guardian.covering(temporary),
        Terminal(len(prepared.plans) or None) as terminal,
    ):
        if prepared.plans and prepared.plans[0].device.is_cpu:
            terminal.line("no GPU in use: the same pipeline runs on the CPU, mps=on is skipped")
        sweep = Sweep(
            info=_info(request, arguments, prepared.plans),
            probe=probe,
            guardian=guardian,
            terminal=terminal,
            tracker=prepared.tracker,
            weights_sha256=prepared.weights_sha256,
            varied=request.varied,
        )
        sweep.start()
        try:
            yield sweep
        except Interrupted as error:
            sweep.interruption = error
            raise
        finally:
            sweep.finish()


def _info(request: Request, arguments: list[str], plans: Sequence[RunPlan]) -> SweepInfo:
    model = plans[0].workloads[0].model if plans else "sweep"
    moment = time.strftime("%Y-%m-%d %H:%M:%S")
    return SweepInfo(
        sweep_id=uuid.uuid4().hex,
        name=f"{model} {moment}",
        command=shlex.join(["python", "-m", "mps_experiments", *arguments]),
        is_sweep=request.multirun,
    )


def _plain(composed: DictConfig) -> dict[str, object]:
    """The configuration as it goes into the record; output_dir absolute, for `sync` from any folder."""
    converted = OmegaConf.to_container(composed, resolve=True, enum_to_str=True)
    assert isinstance(converted, dict)  # noqa: S101 - a DictConfig
    plain = {str(key): value for key, value in converted.items()}
    return plain | {"output_dir": str(Path(composed.output_dir).expanduser().absolute())}
