"""Stored runs by what a user has in hand: a folder, a file, an MLflow run id, an experiment."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mps_experiments.config import TrackingConfig
from mps_experiments.errors import ConfigError, RecordError, TrackingError
from mps_experiments.mistaken import archive_hint, folder_hint
from mps_experiments.record import FILE_NAME, Measurement, read_measurement
from mps_experiments.resume import originals, taken_over
from mps_experiments.summaries import NAME, read_summary, resumed_ids, started_at, summaries_below
from mps_experiments.tracking.variables import store_named_outside

if TYPE_CHECKING:
    from mps_experiments.tracking.stored import RecordStore, StoredRecords

_WOULD_WORK = f"give a run's or a sweep's folder, a {FILE_NAME}, an MLflow run id or experiment"


@dataclass(frozen=True, kw_only=True)
class FoundRun:
    """One stored run.

    Attributes:
        folder: Where its files lie; None if only MLflow has it and its files were not fetched.
        mlflow_run_id: If it was found in MLflow.
    """

    measurement: Measurement
    folder: Path | None
    mlflow_run_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Found:
    """What the words stand for.

    Attributes:
        runs: In the order of started_at, each record_id once.
        problems: Records that could not be read, one line each.
        commands: What was typed, as far as MLflow told.
    """

    runs: tuple[FoundRun, ...]
    problems: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()


def find_runs(words: Sequence[str], *, tracking_uri: str | None, output_dir: Path) -> Found:
    """All runs that the words stand for; creates nothing.

    Args:
        words: Each an existing folder (with all below it), an existing record file, the id of an MLflow run
            or parent run, or the name or id of an MLflow experiment; looked for in this order.
        tracking_uri: MLflow address; None for that of MLFLOW_TRACKING_URI, or else the store in `output_dir`.
        output_dir: The program's output directory.

    Raises:
        ConfigError: If a word is none of these, or MLflow is needed and cannot be read.
    """
    search = _Search(
        tracking_uri
        or store_named_outside()
        or f"sqlite:///{output_dir.expanduser().absolute() / 'mlflow.db'}"
    )
    for word in words:
        search.look_for(word)
    runs = sorted(search.by_id.values(), key=lambda run: run.measurement.started_at)
    return Found(
        runs=tuple(runs),
        problems=tuple(dict.fromkeys(search.problems)),
        commands=tuple(dict.fromkeys(search.commands)),
    )


def last_sweep(output_dir: Path) -> Path:
    """The folder of the sweep, or of the single run, that was started last.

    Raises:
        ConfigError: If there is none below `output_dir`.
    """
    root = output_dir.expanduser()
    folders = {
        path.parent
        for path in root.rglob(NAME)
        if path.is_file() and "mlartifacts" not in path.relative_to(root).parts
    }
    if not folders:
        raise ConfigError("output_dir", output_dir, f"no {NAME} below it; measure first, or name a folder")
    return max(folders, key=started_at)


@dataclass
class _Search:
    """What was found so far; the store is opened by the first word that needs it."""

    uri: str
    by_id: dict[str, FoundRun] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    _store: "RecordStore | None" = None

    def look_for(self, word: str) -> None:
        path = Path(word).expanduser() if word.startswith("~/") else Path(word)
        if word and _is(path.is_dir):
            self._add_folder(path)
        elif _is(path.is_file):
            self._add_file(path)
        else:
            self._add_stored(self._ask_mlflow(word))

    def _add(self, run: FoundRun) -> None:
        self.by_id.setdefault(run.measurement.record_id, run)

    def _add_file(self, path: Path) -> None:
        try:
            self._add(FoundRun(measurement=read_measurement(path), folder=path.parent))
        except RecordError as error:
            if hint := archive_hint(path):
                raise ConfigError("run", path, hint) from error
            hint = f"; {path} is a sweep's: give its folder" if read_summary(path) else ""
            self.problems.append(f"{error}{hint}")

    def _add_folder(self, folder: Path) -> None:
        paths = [path for path in originals(folder) if path.is_file()]
        for path in paths:
            self._add_file(path)
        summaries = list(summaries_below(folder))
        for summary in summaries:
            self._add_taken_over(summary)
        if not paths and not any(map(resumed_ids, summaries)):
            what = f"no {FILE_NAME} below it; {folder_hint(folder) or _WOULD_WORK}"
            raise ConfigError("run", folder, what)

    def _add_taken_over(self, summary: dict[str, Any]) -> None:
        for measurement, folder in taken_over(summary):
            self._add(FoundRun(measurement=measurement, folder=folder))
        for name, (record_id, place) in resumed_ids(summary).items():
            if record_id not in self.by_id:
                self.problems.append(f"{name}: its record was taken over from {place}, where it is not now")

    def _add_stored(self, found: "StoredRecords") -> None:
        for each in found.records:
            self._add(FoundRun(measurement=each.measurement, folder=each.folder, mlflow_run_id=each.run_id))
        self.problems += found.problems
        self.commands += found.commands

    def _ask_mlflow(self, word: str) -> "StoredRecords":
        try:
            store = self._opened()
            found = store.find(word)
        except TrackingError as error:
            raise ConfigError("--tracking-uri", self.uri, str(error)) from error
        except ConfigError as error:
            if error.option != "--tracking-uri":
                raise
            what = f"no such file or folder, and MLflow cannot be asked ({error}); {_WOULD_WORK}"
            raise ConfigError("run", word, what) from error
        if found is None:
            what = f"no such file or folder, nor a run or experiment in {self.uri}; {_WOULD_WORK}"
            raise ConfigError("run", word, what)
        return found

    def _opened(self) -> "RecordStore":
        # Imported here: MLflow costs a second, which a folder does not need.
        from mps_experiments.tracking.stored import RecordStore

        if self._store is None:
            store = RecordStore(TrackingConfig(uri=self.uri))
            store.open()
            self._store = store
        return self._store


def _is(what: Callable[[], bool]) -> bool:
    """What kind of path it is; what cannot be one (too long, not allowed to look) is none."""
    try:
        return what()
    except OSError:
        return False
