"""Stored runs, and a sweep's own file, sweep.json: written after each run, with all that is read from it."""

import contextlib
import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from mps_experiments.errors import RecordError
from mps_experiments.record.disk import is_written, write_atomically
from mps_experiments.record.measurement import (
    FILE_NAME,
    Measurement,
    find_measurements,
    read_measurement,
    records_in,
)

NAME = "sweep.json"
_ANY = "sweep*.json"  # a folder that was used again holds several
COPIES = "mlartifacts"  # folder of the files in an embedded MLflow store, never searched for records


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One run of a sweep.

    Attributes:
        folder: The run's folder, relative to sweep.json; None if it could not be begun.
        resumed_from: The folder of the record of an earlier sweep that stands for this run, relative to
            sweep.json; earlier versions wrote it absolute.
    """

    name: str = ""
    record_id: str = ""
    folder: str | None = None
    resumed_from: str | None = None


@dataclass(frozen=True, kw_only=True)
class Summary:
    """A sweep.json as it is read again.

    Attributes:
        at: The folder that holds it.
        name: Of the sweep's run in MLflow; earlier versions wrote none.
        status: RUNNING until the sweep ended as FINISHED, FAILED or KILLED.
        precision: The goal for which blocks were added; 0 for none.
        decided: The decision of the search that the sweep was made for, a line each; empty without one.
        is_under_way: Whether the sweep still ran when its file was read; if not, all its records are there.
    """

    cells: tuple[Entry, ...]
    at: Path = Path()
    sweep_id: str = ""
    name: str = ""
    command: str = ""
    is_sweep: bool = True
    status: str = "KILLED"
    precision: float = 0.0
    decided: tuple[str, ...] = ()
    is_under_way: bool = False

    @property
    def taken_over(self) -> tuple[Entry, ...]:
        """Return the runs for which a record of an earlier sweep stands."""
        return tuple(cell for cell in self.cells if cell.resumed_from is not None)

    def lacking(self, record_ids: Collection[str]) -> list[str]:
        """Return the names of the runs that were recorded, but not among these records."""
        return [cell.name for cell in self.cells if cell.record_id not in {"", *record_ids}]

    def records_taken_over(self) -> Iterator[tuple[Measurement, Path]]:
        """Yield the records of earlier sweeps under the names that their runs have in this one."""
        for cell in self.taken_over:
            if (found := self._find(cell)) is not None:
                yield replace(found[0], name=cell.name), found[1]

    def _find(self, cell: Entry) -> tuple[Measurement, Path] | None:
        told = Path(cell.resumed_from or "")
        moved_along = [above / Path(*told.parts[-3:]) for above in self.at.absolute().parents[:2]]
        for folder in (self.at / told, *moved_along, self.at / (cell.folder or "")):
            for path in records_in(folder):
                with contextlib.suppress(RecordError):
                    measurement = read_measurement(path)
                    if measurement.record_id == cell.record_id:
                        return measurement, Path(os.path.normpath(folder))
        return None

    def begun_at(self) -> float | None:
        """Return when the sweep's first own run began, since the epoch in seconds; None without a record."""
        for cell in self.cells:
            if cell.resumed_from is None and cell.folder is not None:
                with contextlib.suppress(RecordError):
                    return read_measurement(self.at / cell.folder / FILE_NAME).started_at
        if any(originals(self.at)) or any(self.records_taken_over()):
            return (self.at / NAME).stat().st_mtime
        return None


@dataclass(frozen=True, kw_only=True)
class FoundRun:
    """One stored run.

    Attributes:
        folder: Where its files lie; None if only MLflow has them.
    """

    measurement: Measurement
    folder: Path | None


@dataclass(frozen=True, kw_only=True)
class Found:
    """What the words stand for.

    Attributes:
        runs: In the order of started_at, each record_id once.
        problems: Records that could not be read, one line each.
        commands: What was typed, as far as MLflow told.
        decided: The decision of the last search among the words, as far as MLflow told, a line each.
    """

    runs: tuple[FoundRun, ...]
    problems: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    decided: tuple[str, ...] = ()


_adapter = TypeAdapter(Summary)


def write_summary(folder: Path, content: Mapping[str, object], keep_earlier: bool) -> None:
    """Write a sweep's file.

    Args:
        folder: The sweep's folder.
        content: What it holds; see `Summary` for what is read again.
        keep_earlier: Leave the file of an earlier sweep in that folder under a numbered name.

    Raises:
        OSError: If it cannot be written.
    """
    write_atomically(folder / NAME, json.dumps(content, indent=1).encode(), keep_earlier=keep_earlier)


def read_summary(path: Path) -> Summary | None:
    """Read a sweep.json; None for what is none, or is damaged."""
    is_under_way = path.name == NAME and is_written(path.parent)  # before it is read: it may end meanwhile
    try:
        summary = _adapter.validate_json(path.read_bytes())
        return replace(summary, at=path.parent, is_under_way=is_under_way)
    except (OSError, ValidationError):
        return None


def summaries_below(folder: Path) -> Iterator[Summary]:
    """Yield every sweep.json at or below a folder."""
    return filter(None, map(read_summary, _not_copied(folder, sorted(folder.rglob(_ANY)))))


def summaries_in(folder: Path) -> Iterator[Summary]:
    """Yield every sweep.json in a folder."""
    return filter(None, map(read_summary, sorted(folder.glob(_ANY))))


def summary_of(run_folder: Path, sweep_id: str) -> Summary | None:
    """Find the sweep of a run in the folders above its own; a trial lies two folders deep."""
    above = (run_folder, *run_folder.parents[:2])
    return next(
        (each for folder in above for each in summaries_in(folder) if each.sweep_id == sweep_id), None
    )


def originals(folder: Path) -> Iterator[Path]:
    """Yield the records below a folder where they were written, not MLflow's copies of them."""
    return _not_copied(folder, find_measurements(folder))


def records_below(folder: Path, problems: list[str]) -> Iterator[tuple[Measurement, Path]]:
    """Yield each record below a folder and its file; one that lies there twice comes once.

    Args:
        folder: Where to look; MLflow's copies in it do not count.
        problems: Receives why a record cannot be read.
    """
    seen = set()
    for path in originals(folder):
        try:
            measurement = read_measurement(path)
        except RecordError as error:
            problems.append(str(error))
            continue
        if measurement.record_id not in seen:
            seen.add(measurement.record_id)
            yield measurement, path


def precision_of(summaries: Iterable[Summary]) -> float:
    """Return the precision that all these sweeps added blocks for; 0 for none, or if they differ."""
    values = {summary.precision for summary in summaries}
    return values.pop() if len(values) == 1 else 0.0


def decided_of(summaries: Iterable[Summary]) -> tuple[str, ...]:
    """Return the decision of the one search among these sweeps; empty without one, or with several."""
    found = [summary.decided for summary in summaries if summary.decided]
    return found[0] if len(found) == 1 else ()


def cut_off(word: str) -> str:
    """Say that a sweep has not ended by itself; empty for one that has, and for anything else."""
    summary = read_summary(Path(word) / NAME)
    state = {"KILLED": "was cut off", "RUNNING": "is under way, or was cut off"}
    if summary is None or summary.status not in state:
        return ""
    what = f"the sweep {state[summary.status]}; only runs that were begun are here"
    return f"{word}: {what}, its whole command is in {NAME}"


def _not_copied(folder: Path, paths: Iterable[Path]) -> Iterator[Path]:
    return (path for path in paths if COPIES not in path.relative_to(folder).parts and path.is_file())
