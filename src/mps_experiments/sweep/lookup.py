"""Find stored runs by what a user has in hand: a folder, a file, an MLflow run id."""

import argparse
import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mps_experiments.config.places import is_file, is_folder, user_folder
from mps_experiments.config.schema import Config
from mps_experiments.errors import ConfigError, RecordError, TrackingError
from mps_experiments.record.measurement import FILE_NAME, read_measurement
from mps_experiments.record.summaries import (
    NAME,
    Found,
    FoundRun,
    Summary,
    originals,
    read_summary,
    summaries_below,
)
from mps_experiments.tracking.addresses import own_database, store_named_outside
from mps_experiments.workloads.files import first_bytes

_WOULD_WORK = f"give a run's or a sweep's folder, a {FILE_NAME} or an MLflow run id"
_OTHER_STORE = "--tracking-uri names another"
_RUN_ID = re.compile(r"[0-9a-f]{32}")
_ARCHIVE = re.compile(r".*\.(zip|tgz|tar(\.\w+)?)", re.IGNORECASE)
_HEAD_BYTES = 1024  # a record begins with its version and id


def find_runs(
    words: Sequence[str],
    *,
    tracking_uri: str | None,
    output_dir: Path,
    mistakes: list[ConfigError] | None = None,
    option: str = "run",
) -> Found:
    """Find all runs that the words stand for; creates nothing.

    Args:
        words: Each a folder (with all below it), a record file, or the id of an MLflow run (of a parent run:
            its children).
        tracking_uri: MLflow address; None for that of MLFLOW_TRACKING_URI, or else the store in `output_dir`.
        output_dir: The program's output directory.
        mistakes: Receives one for each word that is none of these; None raises the first.
        option: What the words were given to, for a mistake.

    Raises:
        ConfigError: If a word is none of these or has no record that can be read, or MLflow is needed and
            cannot be read.
    """
    own_store = own_database(output_dir.absolute())
    search = _Search(tracking_uri or store_named_outside(), own_store, option)
    for word in words:
        try:
            search.look_for(word)
        except ConfigError as error:
            if mistakes is None:
                raise
            mistakes.append(error)
    return search.found()


def add_places(parser: argparse.ArgumentParser, *more: str) -> None:
    """Add where runs are looked for; `more` are further names of the MLflow address."""
    add_output_dir(parser)
    parser.add_argument(
        *("--tracking-uri", *more),
        help="MLflow address of runs; default: MLFLOW_TRACKING_URI, or mlflow.db in the output directory",
    )


def add_output_dir(parser: argparse.ArgumentParser) -> None:
    """Add the folder that the last sweep and MLflow's own store are looked for in."""
    default = Path(Config().output_dir)
    parser.add_argument("--output-dir", type=user_folder, default=default, help="default: outputs")


def last_sweep(output_dir: Path) -> Path:
    """Return the folder of the sweep, or of the single run, that was begun last and has a record.

    Raises:
        ConfigError: If there is none below `output_dir`.
    """
    begun = {each.at: each.begun_at() for each in summaries_below(output_dir)}
    with_records = {folder: moment for folder, moment in begun.items() if moment is not None}
    if not with_records:
        what = f"no {NAME} with a record below it; measure first, or name a folder"
        raise ConfigError("output_dir", output_dir, what)
    return max(with_records, key=with_records.__getitem__)


def unreadable(problems: Sequence[str]) -> str:
    """Say how many records cannot be read, and why the first; empty if all can."""
    return f"stored records that cannot be read: {len(problems)}, such as {problems[0]}" if problems else ""


def archive_hint(path: Path) -> str:
    """Say what to do with an archive; empty for any other file."""
    is_archive = path.is_file() and _ARCHIVE.fullmatch(path.name)
    return "is an archive; unpack it into a folder and give that" if is_archive else ""


def _folder_hint(folder: Path) -> str:
    """Say what a folder without a measurement.json holds instead; empty if nothing of use."""
    for path in sorted(folder.rglob("*")):
        if hint := archive_hint(path):
            return f"{path.name} {hint}"
        if path.suffix == ".json" and path.is_file() and b'"record_id"' in first_bytes(path, _HEAD_BYTES):
            files = f"{shlex.quote(str(path.parent))}/*.json"
            return f"a record has another name ({path.name}): give such records as files, {files}"
    return ""


def none_readable(problems: Sequence[str]) -> str:
    """Say that there are records but none can be read, and why the first cannot."""
    first = f"such as {problems[0]}" if problems[1:] else problems[0]
    return f"no record of it can be read: {first}; give another"


@dataclass
class _Search:
    """Runs found so far."""

    named_uri: str | None
    own_store: Path
    option: str
    by_id: dict[str, FoundRun] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    decided: tuple[str, ...] = ()
    sweeps: list[Summary] = field(default_factory=list)

    def look_for(self, word: str) -> None:
        # Unlike Path.expanduser it leaves a word as it is where there is no home directory.
        path = Path(os.path.expanduser(word)) if word.startswith("~/") else Path(word)  # noqa: PTH111
        if word and is_folder(path):
            runs, problems = self._in_folder(path)
        elif is_file(path):
            runs, problems = [self._in_file(path)], []
        elif _RUN_ID.fullmatch(word):
            runs, problems = self._logged(word)
        else:
            raise ConfigError(self.option, word, f"no such file or folder; {_WOULD_WORK}")
        if problems and not runs:
            raise ConfigError(self.option, word, none_readable(problems))
        for run in runs:
            self.by_id.setdefault(run.measurement.record_id, run)
        self.problems += problems

    def found(self) -> Found:
        """Return it in order; a record that a sweep took over may have come with a later word."""
        lost = [
            f"{cell.name}: its record was taken over from {cell.resumed_from}, where it is not now"
            for sweep in self.sweeps
            for cell in sweep.taken_over
            if cell.record_id not in self.by_id
        ]
        key = lambda run: (run.measurement.started_at, run.measurement.record_id)  # noqa: E731
        return Found(
            runs=tuple(sorted(self.by_id.values(), key=key)),
            problems=tuple(dict.fromkeys([*self.problems, *lost])),
            commands=tuple(dict.fromkeys(self.commands)),
            decided=self.decided,
        )

    def _in_file(self, path: Path) -> FoundRun:
        if hint := archive_hint(path):
            raise ConfigError(self.option, path, hint)
        try:
            return _read(path)
        except RecordError as error:
            hint = "it is a sweep's: give its folder" if read_summary(path) else _WOULD_WORK
            why = str(error).removeprefix(f"{path}").lstrip(": ")
            raise ConfigError(self.option, path, f"{why}; {hint}") from error

    def _in_folder(self, folder: Path) -> tuple[list[FoundRun], list[str]]:
        sweeps, paths = list(summaries_below(folder)), list(originals(folder))
        if not paths and not any(sweep.taken_over for sweep in sweeps):
            under_way = "its sweep is under way, or was cut off in its first run" if sweeps else ""
            what = f"no {FILE_NAME} below it; {_folder_hint(folder) or under_way or _WOULD_WORK}"
            raise ConfigError(self.option, folder, what)
        runs = [
            FoundRun(measurement=measurement, folder=place)
            for sweep in sweeps
            for measurement, place in sweep.records_taken_over()
        ]
        problems = []
        for path in paths:
            try:
                runs.append(_read(path))
            except RecordError as error:
                problems.append(str(error))
        self.sweeps += sweeps
        return runs, problems

    def _logged(self, run_id: str) -> tuple[list[FoundRun], list[str]]:
        # Imported here: MLflow costs a second, which a folder does not need.
        from mps_experiments.tracking.stored import stored_records

        if self.named_uri is None and not self.own_store.exists():
            what = f"no such file or folder, and no MLflow store at {self.own_store}; {_OTHER_STORE}"
            raise ConfigError(self.option, run_id, what)
        uri = self.named_uri or f"sqlite:///{self.own_store}"
        try:
            logged = stored_records(uri, run_id)
        except TrackingError as error:
            what = f"no such file or folder, and not in MLflow at {uri}: {error}"
            raise ConfigError(self.option, run_id, what) from error
        self.commands += logged.commands
        self.decided = logged.decided
        return list(logged.runs), list(logged.problems)


def _read(path: Path) -> FoundRun:
    return FoundRun(measurement=read_measurement(path), folder=path.parent)
