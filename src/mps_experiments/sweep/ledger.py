"""What becomes of each run of a sweep: its record on disk first, then MLflow, sweep.json and the tables."""

import contextlib
import os
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from mps_experiments.analysis.runs import condensed
from mps_experiments.errors import RecordError, TrackingError
from mps_experiments.record.disk import write_atomically
from mps_experiments.record.measurement import FILE_NAME, Measurement, records_in, write_measurement
from mps_experiments.record.summaries import write_summary
from mps_experiments.report.terminal import complain
from mps_experiments.run.plan import RunPlan
from mps_experiments.tracking.tracker import SweepInfo, SweepReport, Tracker


@dataclass
class Ledger:
    """The runs of one command line so far.

    Attributes:
        folder: The sweep's folder, once it is known.
        measurements: The runs, without the samples that no table needs.
        places: Record id -> the folder that holds it.
        refused: Number of runs that could not be begun.
        misplaced: Number of records that are not where they should be.
        logged: Ids of the records that MLflow did not have before.
        order: What sweep.json says of the order of the runs, of the blocks that were added and of what a
            search decided.
        tracking_problem: Why MLflow is missing runs; None if it is not. After its first failure it is not
            asked again: each time would cost a deadline.
    """

    info: SweepInfo
    tracker: Tracker
    folder: Path | None = None
    measurements: list[Measurement] = field(default_factory=list)
    places: dict[str, Path] = field(default_factory=dict)
    refused: int = 0
    misplaced: int = 0
    logged: set[str] = field(default_factory=set)
    order: dict[str, object] = field(default_factory=dict)
    tracking_problem: str | None = None
    _entries: list[dict[str, object]] = field(default_factory=list)
    _untracked: list[tuple[Measurement, Path]] = field(default_factory=list)
    _kept_aside: list[Path] = field(default_factory=list)
    _summary_written: bool = False

    def keep(self, measurement: Measurement, plan: RunPlan) -> None:
        """Write the record. Disk first: what MLflow refuses can be logged later from there."""
        self.measurements.append(condensed(measurement))
        self._untracked.append((measurement, plan.paths.folder))
        try:
            path = write_somewhere(measurement, plan.paths.measurement)
        except RecordError as error:
            self.misplaced += 1
            complain(str(error))
            return
        self.places[measurement.record_id] = path.parent
        if path != plan.paths.measurement:
            self.misplaced += 1
            self._kept_aside.append(path.parent)
            complain(f"{plan.name}: {plan.paths.folder} has no room for its record: it is {path}")

    def add_missing(self, measurement: Measurement, missing: Sequence[str]) -> Measurement:
        """Add to the last record that was kept what turned out to be missing; returns the complete one."""
        complete = replace(measurement, missing=(*measurement.missing, *missing))
        self.measurements[-1] = condensed(complete)
        self._untracked[-1] = (complete, self._untracked[-1][1])
        folder = self.places.get(measurement.record_id)
        try:
            if folder is not None:
                write_measurement(complete, folder / FILE_NAME, keep_earlier=False)
        except RecordError as error:
            complain(f"{measurement.name}: {'; '.join(missing)}; its record does not say so: {error}")
        return complete

    def take_over(self, measurement: Measurement, folder: Path, name: str) -> None:
        """Take an earlier sweep's record for this one's, under this name; MLflow gets it if it lacks it."""
        self.compare_with(replace(measurement, name=name), folder)
        self._untracked.append((measurement, folder))

    def compare_with(self, measurement: Measurement, folder: Path) -> None:
        """Count a record in tables, report and comparison alone."""
        self.measurements.append(condensed(measurement))
        self.places[measurement.record_id] = folder

    def refuse(self, name: str, reason: str) -> None:
        """Note a run that could not be begun."""
        self.refused += 1
        self._entries.append({"name": name, "verdict": "REFUSED", "reason": reason})
        self.write_summary("RUNNING")

    def log(self) -> None:
        """Log what is not in MLflow yet; a run that a signal kept from being logged gets its turn later."""
        while self._untracked and self.tracking_problem is None:
            self._track(partial(self._log_one, *self._untracked[0]))
            self._untracked.pop(0)
        if self.tracking_problem is not None:
            self._untracked.clear()

    def _log_one(self, measurement: Measurement, folder: Path) -> None:
        if self.tracker.log_cell(measurement, folder, measurement.was_interrupted):
            self.logged.add(measurement.record_id)

    def look_for_records(self) -> None:
        """Say so if records are gone that the sweep's folder held: it was moved, or they were deleted."""
        own, gone = self._own_and_gone()
        if gone:
            self.misplaced += gone
            complain(f"{gone} of {own} records are no longer in {self.folder}")

    def _own_and_gone(self) -> tuple[int, int]:
        """Count the records that were in the sweep's folder, and those of them that are gone."""
        if self.folder is None:
            return 0, 0
        own = [folder for folder in self.places.values() if folder.is_relative_to(self.folder)]
        return len(own), sum(not records_in(folder) for folder in own)

    def note(
        self,
        plan: RunPlan,
        measurement: Measurement,
        started: float,
        recorded: float,
        kept: float | None = None,
        begun: float | None = None,
        resumed_from: Path | None = None,
    ) -> None:
        """Write one more run into sweep.json; times are of the monotonic clock, in seconds.

        Args:
            plan: The run.
            measurement: Its record.
            started: When it began.
            recorded: When its record was made.
            kept: When the next run could begin, without files and MLflow of this one; None if it had to wait
                for all of it.
            begun: When these were begun, beside the next run; None for at once.
            resumed_from: The record of an earlier sweep that stands for it.
        """
        assert self.folder is not None  # noqa: S101 - a run has a folder
        now = time.monotonic()
        kept = now if kept is None else kept
        self._entries.append(
            {
                "folder": str(plan.paths.folder.relative_to(self.folder)),
                "name": plan.name,
                "record_id": measurement.record_id,
                "verdict": measurement.verdict.status.value,
                "total_s": kept - started,
                "record_s": kept - recorded,
                "beside_next_run_s": now - (kept if begun is None else begun),
                **({} if resumed_from is None else self._linked(resumed_from, plan.paths.folder)),
            }
        )
        self.write_summary("RUNNING")

    def _linked(self, record: Path, folder: Path) -> dict[str, str]:
        """Link an earlier record into the run's folder: the sweep's can then be moved or sent by itself."""
        if record.parent != folder:  # else it is there, perhaps under a number
            with contextlib.suppress(OSError):  # not every file system has links; the way there is noted
                folder.mkdir(parents=True, exist_ok=True)
                (folder / FILE_NAME).hardlink_to(record)
        assert self.folder is not None  # noqa: S101 - the caller looked
        return {"resumed_from": os.path.relpath(record.parent, self.folder)}

    def start(self) -> None:
        """Open the sweep's run in MLflow."""
        self._track(lambda: self.tracker.start_sweep(self.info))

    def finish(self, report: SweepReport, status: str) -> None:
        """Log what is left and the comparison; then sweep.json and tables.txt."""
        self.log()
        self._track(lambda: self.tracker.finish_sweep(self.measurements, report, status))
        if self.folder is not None:
            self.write_summary(status)
            with contextlib.suppress(OSError):
                write_atomically(self.folder / "tables.txt", report.tables.encode())

    def places_to_look(self, report: SweepReport) -> Iterator[str]:
        """Say where records, report and MLflow's runs are, or how MLflow gets those that it lacks."""
        if self.folder is None:
            return
        yield f"records: {self.folder}"
        if report.files:
            yield f"report: {report.files[0]}"
        if self.tracking_problem is None:
            yield self.tracker.browse_hint()
            return
        folders = dict.fromkeys([self.folder, *(path.parent for path in self._kept_aside)])
        command = shlex.join([sys.executable, "-m", "mps_experiments.sync", *map(str, folders)])
        yield f"MLflow is missing runs ({self.tracking_problem}); log them later: {command}"

    def write_summary(self, status: str) -> None:
        """Write sweep.json, after each run: a sweep that is killed can then be logged as one later."""
        if self.folder is None:
            return
        summary = {
            "sweep_id": self.info.sweep_id,
            "name": self.info.name,
            "command": self.info.command,
            "is_sweep": self.info.is_sweep,
            "status": status,
            **self.order,
            "cells": self._entries,
        }
        with contextlib.suppress(OSError):  # the records say the same, run by run
            write_summary(self.folder, summary, keep_earlier=not self._summary_written)
            self._summary_written = True

    def _track(self, call: Callable[[], object]) -> None:
        if self.tracking_problem is not None:
            return
        try:
            call()
        except TrackingError as error:
            self.tracking_problem = str(error)
            _, gone = self._own_and_gone()
            complain(f"{error}{'' if gone else '; the records stay on disk and can be logged later'}")


def check_room(folder: Path, min_free_mb: int) -> None:
    """Refuse to begin a run without room for what it writes; its folder is created.

    Raises:
        RecordError: If fewer than `min_free_mb` megabytes are free, or the folder cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free_mb = shutil.disk_usage(folder).free // 10**6
    except OSError as error:
        raise RecordError(f"{folder} cannot be written: {error.strerror}") from error
    if free_mb < min_free_mb:
        raise RecordError(f"only {free_mb} MB are free in {folder}, less than min_free_disk_mb={min_free_mb}")


def write_somewhere(measurement: Measurement, path: Path) -> Path:
    """Write a record to its place or, if that cannot be, below the temporary folder; returns the file.

    Raises:
        RecordError: If neither can be written.
    """
    try:
        write_measurement(measurement, path)
    except RecordError as error:
        aside = Path(tempfile.gettempdir()) / f"mps_experiments-{measurement.sweep_id}" / path.parent.name
        try:
            aside.parent.mkdir(mode=0o700, exist_ok=True)
            write_measurement(measurement, aside / path.name)
        except (RecordError, OSError) as second:
            raise RecordError(f"{error}; nor {aside}: {second}") from error
        return aside / path.name
    return path
