"""Records that an MLflow store has: of a run, of a sweep's parent run, of an experiment. It only reads."""

import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from mlflow import MlflowClient
from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from mps_experiments.config import TrackingConfig
from mps_experiments.errors import ConfigError, RecordError, TrackingError
from mps_experiments.record import FILE_NAME, Measurement, read_measurement
from mps_experiments.tracking.addresses import check_tracking
from mps_experiments.tracking.deadline import within
from mps_experiments.tracking.existing import local_path, problem_with
from mps_experiments.tracking.mlflow_tracker import RECORD_ID, SWEEP_ID, how_to_restore
from mps_experiments.tracking.sqlite import patiently
from mps_experiments.tracking.trouble import StoreError, nobody, trouble_of

_MAX_BYTES = 2**28  # of one record: those of a million iterations have about 2**24
_PAGE = 1000  # runs that MLflow lists in one call
_PARENT = "mlflow.parentRunId"
_RUN_ID = re.compile(r"[0-9a-f]{32}")
_NUMBER = re.compile(r"[0-9]{1,18}")  # more do not fit into the column of a database
_ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class StoredRecord:
    """One record; `folder` holds its files where the store keeps them on this machine."""

    run_id: str
    measurement: Measurement
    folder: Path | None


@dataclass(frozen=True, kw_only=True)
class StoredRecords:
    """What a word stands for.

    Attributes:
        records: Those that could be read.
        problems: One line for each that could not.
        commands: What was typed, if the word is the id of a sweep's parent run.
    """

    records: tuple[StoredRecord, ...]
    problems: tuple[str, ...]
    commands: tuple[str, ...] = ()


class RecordStore:
    """An MLflow store that is only read: no database, table or experiment comes to be.

    Args:
        tracking: Its address, which must be set, and the deadlines of each call.
    """

    def __init__(self, tracking: TrackingConfig) -> None:
        assert tracking.uri is not None  # noqa: S101 - the caller knows the default
        self._tracking, self._uri = tracking, tracking.uri

    def open(self) -> None:
        """Reach the store.

        Raises:
            ConfigError: If the address does not answer, is none, or holds nothing of MLflow.
        """
        try:
            check_tracking(self._tracking)
        except ConfigError as error:
            raise ConfigError("--tracking-uri", self._uri, error.expected) from error
        timeout_s = self._tracking.connect_timeout_s
        try:
            problem = within(timeout_s, "answer", lambda: problem_with(self._uri, timeout_s))
        except TrackingError as error:
            problem = nobody(str(error))
        if problem:
            raise ConfigError("--tracking-uri", self._uri, str(problem))
        self._client = self._within("open the store", lambda: MlflowClient(tracking_uri=self._uri))

    def find(self, word: str) -> StoredRecords | None:
        """The records of a run id, an experiment's name or an experiment's id; None if it is none of them.

        Raises:
            ConfigError: If there is such a run or experiment, but nothing of this program in it.
            TrackingError: If MLflow does not answer.
        """
        if _RUN_ID.fullmatch(word) and (run := self._run(word)) is not None:
            return self._of_run(run)
        experiment = self._experiment(word)
        return None if experiment is None else self._of_experiment(word, experiment)

    def _of_run(self, run: Any) -> StoredRecords:
        run_id, tags = str(run.info.run_id), run.data.tags
        if run.info.lifecycle_stage != "active":
            raise ConfigError(
                "run", run_id, f"was deleted; `mlflow runs restore --run-id {run_id}` brings it back"
            )
        if RECORD_ID in tags:
            return self._read([run])
        if SWEEP_ID not in tags:
            what = f"is a run of another program ({run.info.run_name}); give one that mps_experiments logged"
            raise ConfigError("run", run_id, what)
        children = self._search(str(run.info.experiment_id), f"tags.`{_PARENT}` = '{run_id}'")
        found = self._read(children)
        commands = tuple(filter(None, [tags.get("command")]))
        return replace(found, commands=commands)

    def _of_experiment(self, word: str, experiment: Any) -> StoredRecords:
        if experiment.lifecycle_stage != "active":
            what = f"was deleted; {how_to_restore(self._uri, str(experiment.experiment_id))} brings it back"
            raise ConfigError("experiment", word, what)
        runs = self._search(str(experiment.experiment_id), f"tags.{RECORD_ID} != ''")
        if not runs:
            raise ConfigError("experiment", word, "has no runs of mps_experiments; name another")
        return self._read(runs)

    def _run(self, run_id: str) -> Any:
        return self._within("look up a run", lambda: _or_none(lambda: self._client.get_run(run_id)))

    def _experiment(self, word: str) -> Any:
        def look_up() -> Any:
            by_name = _or_none(lambda: self._client.get_experiment_by_name(word))
            if by_name is None and _NUMBER.fullmatch(word):
                return _or_none(lambda: self._client.get_experiment(word))
            return by_name

        return self._within("look up an experiment", look_up)

    def _search(self, experiment_id: str, condition: str) -> list[Any]:
        runs: list[Any] = []
        token: str | None = ""
        while token is not None:
            page = self._within("list runs", partial(self._page, experiment_id, condition, token or None))
            runs += page
            token = page.token or None
        return runs

    def _page(self, experiment_id: str, condition: str, token: str | None) -> Any:
        order = ["start_time"]
        return self._client.search_runs(
            [experiment_id], condition, ViewType.ACTIVE_ONLY, _PAGE, order, page_token=token
        )

    def _read(self, runs: list[Any]) -> StoredRecords:
        records, problems = [], []
        for run in runs:
            try:
                records.append(self._record(run))
            except (RecordError, TrackingError) as error:
                problems.append(f"MLflow run {run.info.run_id}: {error}")
        return StoredRecords(records=tuple(records), problems=tuple(problems))

    def _record(self, run: Any) -> StoredRecord:
        run_id, place = str(run.info.run_id), str(run.info.artifact_uri)
        folder = local_path(place)
        if folder is not None:
            path = folder / FILE_NAME
            _check_size(path.stat().st_size if path.is_file() else None)
            return StoredRecord(run_id=run_id, measurement=read_measurement(path), folder=folder)
        # A download that is late may still write while this is removed.
        with tempfile.TemporaryDirectory(prefix="mpsx-record-", ignore_cleanup_errors=True) as temporary:
            path = Path(temporary) / FILE_NAME
            self._within("hand out a record", lambda: self._download(place, path))
            return StoredRecord(run_id=run_id, measurement=read_measurement(path), folder=None)

    def _download(self, place: str, path: Path) -> None:
        # Not through the client: it draws a progress bar, and its threads would outlive the deadline.
        repository = get_artifact_repository(place, tracking_uri=self._uri)
        sizes = {each.path: each.file_size or 0 for each in repository.list_artifacts()}
        _check_size(sizes.get(FILE_NAME))
        repository._download_file(FILE_NAME, str(path))

    def _within(self, what: str, call: Callable[[], _T]) -> _T:
        timeout_s = self._tracking.timeout_s
        try:
            return within(timeout_s, what, lambda: patiently(call, timeout_s))
        except TrackingError as error:
            if error.__cause__ is None or isinstance(error, StoreError):
                raise
            raise StoreError(trouble_of(error.__cause__)) from error


def _or_none(call: Callable[[], Any]) -> Any:
    """The call's result; None where MLflow says that there is no such thing."""
    try:
        return call()
    except MlflowException as error:
        if error.error_code not in _ABSENT:
            raise
        return None


def _check_size(size_bytes: int | None) -> None:
    if size_bytes is None:
        raise RecordError(f"there is no {FILE_NAME} in its artifacts: it was cut off while it was logged")
    if size_bytes > _MAX_BYTES:
        raise RecordError(f"its {FILE_NAME} has {size_bytes} bytes, more than {_MAX_BYTES}; it is not read")
