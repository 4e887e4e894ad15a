"""MLflow as the index that people browse: a parent run per sweep, a child run per cell."""

import contextlib
import logging
import shlex
import socket
import sys
import time
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from mlflow import MlflowClient
from mlflow.entities import ViewType

from mps_experiments import __version__
from mps_experiments.disk import alone_in, locked
from mps_experiments.errors import ConfigError, TrackingError
from mps_experiments.measurement.verdict import Status
from mps_experiments.record import Measurement
from mps_experiments.tracking.comparisons import comparison_fields
from mps_experiments.tracking.deadline import within
from mps_experiments.tracking.existing import check_database
from mps_experiments.tracking.fields import cut, sweep_tags, tags_of
from mps_experiments.tracking.health import HTTP, problem_with_address
from mps_experiments.tracking.notes import note_of
from mps_experiments.tracking.run_logging import log_changed, log_files, log_report, log_values
from mps_experiments.tracking.runners import is_alive, this_runner
from mps_experiments.tracking.sqlite import database_of, patiently
from mps_experiments.tracking.tracker import SweepInfo, SweepReport
from mps_experiments.tracking.trouble import StoreError, Trouble, nobody, trouble_of
from mps_experiments.tracking.variables import option_of
from mps_experiments.tracking.views import BY_RATIO, experiment_tags, link, sweep_view

RECORD_ID = "record_id"
SWEEP_ID = "sweep_id"
_COMPLETE = "complete"  # set last, so that a run cut off while it was logged is recognised
_RUNNER = "runner"
_WRITTEN_BY = "mps_experiments"
_PARENT = "mlflow.parentRunId"
_NOTE = "mlflow.note.content"
_PATIENCE = 0.75  # of a deadline
_LOCAL_UI = "http://127.0.0.1:5000"  # where `mlflow ui` listens unless told otherwise

_T = TypeVar("_T")

for _name in ("mlflow", "alembic", "urllib3"):  # they tell of every retry; we say it once, at the end
    logging.getLogger(_name).setLevel(logging.CRITICAL)


class MlflowTracker:
    """Logs to one MLflow experiment.

    Args:
        uri: Tracking address; for the embedded store ``sqlite:///...``.
        experiment: Name of the experiment; created if it is not there.
        artifact_dir: Where the embedded store keeps files; ignored for a server, which has its own place.
        timeout_s: Deadline of each call.
        connect_timeout_s: Deadline for a server to say that it is there.
    """

    def __init__(
        self, uri: str, experiment: str, artifact_dir: Path, timeout_s: float, connect_timeout_s: float
    ) -> None:
        self._uri, self._experiment, self._timeout_s = uri, experiment, timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._artifact_dir = artifact_dir
        self._info: SweepInfo | None = None
        self._parent_id: str | None = None
        self._run_ids: dict[str, str] = {}

    def look(self) -> None:
        """See whether a server answers, or the database is one of this MLflow's; changes nothing.

        Raises:
            ConfigError: If the address does not answer, or holds something else.
        """
        try:
            self._probe()
            self._within("look at the store", lambda: check_database(self._uri))
        except TrackingError as error:
            raise self._refused(self._trouble(error)) from error

    def open(self) -> None:
        """Reach the store, find or create the experiment, and see that it can be written.

        Raises:
            ConfigError: If the address does not answer or is none, or the store can only be read.
        """
        try:
            self._probe()
            self._within("open the store", self._open)
        except TrackingError as error:
            raise self._refused(self._trouble(error)) from error
        try:
            self._within("write to it", self._sign)
        except TrackingError as error:
            trouble = self._trouble(error)
            what = f"the store cannot be written: {trouble.what}"
            raise self._refused(Trouble(what=what, todo=trouble.todo)) from error

    def _refused(self, trouble: Trouble) -> ConfigError:
        else_ = (
            "use tracking=none and sync later"
            if self._is_database
            else "use tracking=sqlite or tracking=none"
        )
        return ConfigError(option_of(self._uri), self._uri, f"{trouble}, or {else_}")

    def _trouble(self, error: TrackingError) -> Trouble:
        """What stands behind an error; where nothing does, the call was late."""
        if isinstance(error, StoreError) or error.__cause__ is not None:
            return trouble_of(error.__cause__ or error)
        if self._is_database:
            return Trouble(
                what=str(error), todo="another program may have locked it: try again, or name another"
            )
        return nobody(str(error))

    @property
    def _is_database(self) -> bool:
        return database_of(self._uri) is not None

    def _sign(self) -> None:
        """The smallest thing to write that changes no run; the views once, so that one can be deleted."""
        known = self._client.get_experiment(self._experiment_id).tags
        if known.get(_WRITTEN_BY) != __version__:
            now_ms = round(time.time() * 1000)
            for key, value in experiment_tags(self._experiment_id, known, now_ms).items():
                self._client.set_experiment_tag(self._experiment_id, key, value)
        self._client.set_experiment_tag(self._experiment_id, _WRITTEN_BY, __version__)

    def _probe(self) -> None:
        # The deadline of urlopen leaves out the look-up of the name.
        timeout_s = self._connect_timeout_s
        if (
            problem := within(timeout_s, "answer", lambda: problem_with_address(self._uri, timeout_s))
        ) is not None:
            raise StoreError(problem)

    def _open(self) -> None:
        with _alone(self._uri):
            check_database(self._uri)
            self._find_or_create_experiment()

    def _find_or_create_experiment(self) -> None:
        self._client = MlflowClient(tracking_uri=self._uri)
        experiment = self._client.get_experiment_by_name(self._experiment)
        if experiment is not None:
            if experiment.lifecycle_stage != "active":
                how = how_to_restore(self._uri, str(experiment.experiment_id))
                what = f"was deleted; restore it with: {how}; or name another with tracking.experiment"
                raise ConfigError("tracking.experiment", self._experiment, what)
            self._experiment_id = str(experiment.experiment_id)
            return
        location = self._artifact_dir.as_uri() if self._uri.startswith("sqlite:") else None
        self._experiment_id = str(
            self._client.create_experiment(self._experiment, artifact_location=location)
        )

    def start_sweep(self, info: SweepInfo) -> None:
        self._info = info
        self._within("start the sweep", self._start_sweep)

    def _start_sweep(self) -> None:
        info = self._info
        assert info is not None  # noqa: S101 - set by start_sweep
        self._close_abandoned()
        if info.is_sweep:
            tags = {SWEEP_ID: info.sweep_id, "command": cut(info.command), _RUNNER: this_runner()}
            self._parent_id = self._find(f"tags.{SWEEP_ID} = '{info.sweep_id}' and tags.command != ''")
            if self._parent_id is None:
                run = self._client.create_run(self._experiment_id, tags=tags, run_name=info.name)
                self._parent_id = run.info.run_id
            self._client.set_experiment_tag(self._experiment_id, *sweep_view(info.sweep_id).tag())

    def log_cell(self, measurement: Measurement, folder: Path, interrupted: bool) -> bool:
        def log() -> bool:
            with alone_in(folder):  # a sweep and `sync`, or two of these, may have the same record
                return self._log_cell(measurement, folder, interrupted)

        return self._within(f"log {measurement.name}", log)

    def _log_cell(self, measurement: Measurement, folder: Path, interrupted: bool) -> bool:
        existing = self._find(f"tags.{RECORD_ID} = '{measurement.record_id}'")
        if existing is not None:
            if self._client.get_run(existing).data.tags.get(_COMPLETE) == "true":
                self._run_ids[measurement.record_id] = existing
                return False
            self._client.delete_run(existing)
        start_ms = round(measurement.started_at * 1000)
        parent = {_PARENT: self._parent_id} if self._parent_id else {}
        run = self._client.create_run(
            self._experiment_id,
            start_time=start_ms,
            tags=tags_of(measurement) | parent | {_RUNNER: this_runner()},
            run_name=measurement.name,
        )
        run_id = run.info.run_id
        self._run_ids[measurement.record_id] = run_id
        end_ms = start_ms + round(measurement.wall_s * 1000)
        log_values(self._client, run_id, measurement, end_ms)
        log_files(self._client, run_id, measurement, folder)
        self._client.set_tag(run_id, _COMPLETE, "true")
        failed = measurement.verdict.status is Status.INVALID
        status = "KILLED" if interrupted else "FAILED" if failed else "FINISHED"
        self._client.set_terminated(run_id, status, end_ms)
        return True

    def finish_sweep(self, measurements: Sequence[Measurement], report: SweepReport, status: str) -> None:
        for record_id, fields in comparison_fields(measurements, self._run_ids).items():
            if run_id := self._run_ids.get(record_id):  # each with its own deadline: there may be hundreds
                log = partial(log_changed, self._client, run_id, fields.metrics, fields.tags)
                self._within("log a ratio", log)
        if self._parent_id is not None:
            self._within("finish the sweep", lambda: self._finish(measurements, report, status))

    def _finish(self, measurements: Sequence[Measurement], report: SweepReport, status: str) -> None:
        assert self._info is not None  # noqa: S101 - set by start_sweep
        assert self._parent_id is not None  # noqa: S101 - the caller looked
        counts = {
            f"cells/{each.value.lower()}": float(sum(m.verdict.status is each for m in measurements))
            for each in Status
        }
        log_changed(self._client, self._parent_id, counts, sweep_tags(measurements))
        note = note_of(report.description, link(self._experiment_id, sweep_view(self._info.sweep_id)))
        self._client.set_tag(self._parent_id, _NOTE, note)
        self._client.log_text(self._parent_id, report.tables, "tables.txt")
        log_report(self._client, self._parent_id, report.files)
        self._client.set_terminated(self._parent_id, status)

    def _within(self, what: str, call: Callable[[], _T]) -> _T:
        patience_s = (
            self._timeout_s * _PATIENCE
        )  # what locks a database is then told, and not only the deadline
        return within(self._timeout_s, what, lambda: patiently(call, patience_s))

    def browse_hint(self) -> str:
        server = self._uri if urllib.parse.urlsplit(self._uri).scheme in HTTP else _LOCAL_UI
        is_sweep = self._info is not None and self._info.is_sweep
        view = sweep_view(self._info.sweep_id) if self._info is not None and is_sweep else BY_RATIO
        page = f"{server.rstrip('/')}/{link(self._experiment_id, view)}"
        if server == self._uri:
            return f"browse the runs at {page}"
        command = shlex.join([sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", self._uri])
        return f"browse the runs: {command}\n  then open {page}"

    def _find(self, condition: str) -> str | None:
        found = self._client.search_runs(
            [self._experiment_id], condition, ViewType.ACTIVE_ONLY, max_results=1
        )
        return str(found[0].info.run_id) if found else None

    def _close_abandoned(self) -> None:
        """Runs still RUNNING whose runner on this machine is gone (it was killed) are KILLED."""
        condition = f"attributes.status = 'RUNNING' and tags.{_RUNNER} LIKE '{socket.gethostname()}:%'"
        for run in self._client.search_runs([self._experiment_id], condition, ViewType.ACTIVE_ONLY):
            if not is_alive(run.data.tags[_RUNNER]):
                self._client.set_terminated(run.info.run_id, "KILLED")


def how_to_restore(uri: str, experiment_id: str) -> str:
    """The command that brings a deleted experiment back."""
    command = ["mlflow", "experiments", "restore", "--experiment-id", experiment_id]
    return f"MLFLOW_TRACKING_URI={shlex.quote(uri)} {shlex.join(command)}"


@contextlib.contextmanager
def _alone(uri: str) -> Iterator[None]:
    """One process at a time opens an SQLite store: MLflow's migrations of a new one do not bear two."""
    database = database_of(uri)
    if database is None:
        yield
        return
    with locked(database.with_name(f".{database.name}.lock")):  # the caller's deadline is this wait's, too
        yield
