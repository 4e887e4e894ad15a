"""MLflow as the index that people browse: a parent run per sweep, a child run per cell."""

import contextlib
import shlex
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import ViewType

from mps_experiments import __version__
from mps_experiments.errors import ConfigError, TrackingError
from mps_experiments.record.disk import alone_in, locked
from mps_experiments.record.measurement import Measurement
from mps_experiments.record.summaries import COPIES
from mps_experiments.record.verdict import Status
from mps_experiments.tracking.addresses import database_of, option_of
from mps_experiments.tracking.comparisons import NOTE, comparison_fields, decision_metrics
from mps_experiments.tracking.fields import cut, sweep_params, sweep_tags, tags_of
from mps_experiments.tracking.run_logging import log_changed, log_files, log_report, log_values
from mps_experiments.tracking.store import HTTP, look, within
from mps_experiments.tracking.tracker import SweepInfo, SweepReport, Tracker
from mps_experiments.tracking.views import all_sweeps_view, link_to, link_to_all_sweeps, note_of, sweep_view

RECORD_ID = "record_id"
SWEEP_ID = "sweep_id"
PARENT = "mlflow.parentRunId"
DECISION = "decision"
_COMPLETE = "complete"  # set last, so that a run cut off while it was logged is recognised
_WRITTEN_BY = "mps_experiments"
_KIND = {"mlflow.experimentKind": "custom_model_development"}  # else the UI shows its pages for chats
_LOCAL_UI = "http://127.0.0.1:5000"  # where `mlflow ui` listens unless told otherwise


class MlflowTracker(Tracker):
    """Logs to one MLflow experiment.

    Args:
        uri: Tracking address; for the embedded store ``sqlite:///...``.
        experiment: Name of the experiment; created if it is not there.
        timeout_s: Deadline of each call.
        connect_timeout_s: Deadline for a server to say that it is there.
    """

    def __init__(self, uri: str, experiment: str, timeout_s: float, connect_timeout_s: float) -> None:
        self._uri, self._experiment = uri, experiment
        self._timeout_s, self._connect_timeout_s = timeout_s, connect_timeout_s
        self._info: SweepInfo | None = None
        self._parent_id: str | None = None
        self._run_ids: dict[str, str] = {}

    def look(self) -> None:
        with self._refusing():
            look(self._uri, self._timeout_s, self._connect_timeout_s, may_be_new=True)

    def open(self) -> None:
        self.look()
        with self._refusing():
            within(self._timeout_s, "open the store", self._open)
            # The smallest thing to write that changes no run.
            sign = partial(self._client.set_experiment_tag, self._experiment_id, _WRITTEN_BY, __version__)
            within(self._timeout_s, "write to the store", sign)

    @contextlib.contextmanager
    def _refusing(self) -> Iterator[None]:
        try:
            yield
        except TrackingError as error:
            is_database = database_of(self._uri) is not None
            instead = "tracking=none and sync later" if is_database else "tracking=sqlite or tracking=none"
            raise ConfigError(option_of(self._uri), self._uri, f"{error}, or use {instead}") from error

    def _open(self) -> None:
        database = database_of(self._uri)
        # MLflow's migrations of a new SQLite store do not bear two programs at once.
        with locked(database.with_name(f".{database.name}.lock")) if database else contextlib.nullcontext():
            self._client = MlflowClient(tracking_uri=self._uri)
            experiment = self._client.get_experiment_by_name(self._experiment)
            if experiment is None:
                # Beside the database, so that a store is one folder; a server has a place of its own.
                location = database.absolute().with_name(COPIES).as_uri() if database else None
                self._experiment_id = str(self._client.create_experiment(self._experiment, location, _KIND))
                return
        self._experiment_id = str(experiment.experiment_id)
        if experiment.lifecycle_stage != "active":
            command = f"mlflow experiments restore --experiment-id {self._experiment_id}"
            how = f"MLFLOW_TRACKING_URI={shlex.quote(self._uri)} {command}"
            what = f"was deleted; restore it with: {how}; or name another with tracking.experiment"
            raise ConfigError("tracking.experiment", self._experiment, what)

    def start_sweep(self, info: SweepInfo) -> None:
        self._info = info
        if info.is_sweep:
            within(self._timeout_s, "start the sweep", lambda: self._start_sweep(info))

    def _start_sweep(self, info: SweepInfo) -> None:
        self._parent_id = self._find(f"tags.{SWEEP_ID} = '{info.sweep_id}' and tags.command != ''")
        if self._parent_id is None:
            tags = {SWEEP_ID: info.sweep_id, "command": cut(info.command)}
            run = self._client.create_run(self._experiment_id, tags=tags, run_name=info.name)
            self._parent_id = run.info.run_id
        with contextlib.suppress(Exception):  # a prepared view is a convenience, of a format that may change
            for key, value in (sweep_view(info.sweep_id), all_sweeps_view()):
                self._client.set_experiment_tag(self._experiment_id, key, value)

    def log_cell(self, measurement: Measurement, folder: Path, interrupted: bool) -> bool:
        def log() -> bool:
            # A sweep and `sync`, or two of these, may have the same record.
            with alone_in(folder, self._timeout_s):
                return self._log_cell(measurement, folder, interrupted)

        return within(self._timeout_s, f"log {measurement.name}", log)

    def _log_cell(self, measurement: Measurement, folder: Path, interrupted: bool) -> bool:
        existing = self._find(f"tags.{RECORD_ID} = '{measurement.record_id}'")
        if existing is not None:
            if self._client.get_run(existing).data.tags.get(_COMPLETE) == "true":
                self._run_ids[measurement.record_id] = existing
                return False
            self._client.delete_run(existing)
        start_ms = round(measurement.started_at * 1000)
        parent = {PARENT: self._parent_id} if self._parent_id else {}
        run = self._client.create_run(
            self._experiment_id,
            start_time=start_ms,
            tags=tags_of(measurement) | parent,
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
                within(self._timeout_s, "log a ratio", log)
        if (parent_id := self._parent_id) is not None:
            finish = partial(self._finish, parent_id, measurements, report, status)
            within(self._timeout_s, "finish the sweep", finish)

    def _finish(
        self, parent_id: str, measurements: Sequence[Measurement], report: SweepReport, status: str
    ) -> None:
        metrics = decision_metrics(measurements)
        for each in Status:
            metrics[f"cells/{each.value.lower()}"] = sum(m.verdict.status is each for m in measurements)
        links = {
            "The VALID runs of this sweep, best first": self._link,
            "All sweeps of this experiment": link_to_all_sweeps(self._experiment_id),
        }
        tags = sweep_tags(measurements) | {NOTE: note_of(report.description, links)}
        if report.decided:
            tags[DECISION] = cut("\n".join(report.decided))
        log_changed(self._client, parent_id, metrics, tags, sweep_params(measurements))
        self._client.log_text(parent_id, report.tables, "tables.txt")
        log_report(self._client, parent_id, report.files)
        self._client.set_terminated(parent_id, status)

    @property
    def _link(self) -> str:
        info = self._info
        return link_to(self._experiment_id, info.sweep_id if info is not None and info.is_sweep else None)

    def browse_hint(self) -> str:
        if self._uri.startswith(HTTP):
            return f"browse the runs at {self._uri.rstrip('/')}/{self._link}"
        command = shlex.join([sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", self._uri])
        return f"browse the runs: {command}\n  then open {_LOCAL_UI}/{self._link}"

    def _find(self, condition: str) -> str | None:
        found = self._client.search_runs(
            [self._experiment_id], condition, ViewType.ACTIVE_ONLY, max_results=1
        )
        return str(found[0].info.run_id) if found else None
