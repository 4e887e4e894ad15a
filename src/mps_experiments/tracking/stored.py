"""Read records back from MLflow: that of a run, or those of a parent run's children."""

import os
import tempfile
import urllib.parse
import urllib.request
from functools import partial
from pathlib import Path

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from mps_experiments.config.schema import TrackingConfig
from mps_experiments.errors import RecordError, TrackingError
from mps_experiments.record.measurement import FILE_NAME, read_measurement
from mps_experiments.record.summaries import Found, FoundRun
from mps_experiments.tracking.addresses import check_tracking
from mps_experiments.tracking.mlflow_tracker import DECISION, PARENT, RECORD_ID, SWEEP_ID
from mps_experiments.tracking.store import StoreError, look, within

_MOST_CHILDREN = 50_000  # runs that MLflow tells at once
_ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


def stored_records(uri: str, run_id: str) -> Found:
    """Download the record of a run, or those of the children of a sweep's parent run. Creates nothing.

    Raises:
        ConfigError: If the address holds a password or can be none.
        TrackingError: If MLflow cannot be asked, or the run is none of ours.
    """
    tracking = TrackingConfig(uri=uri)
    check_tracking(tracking)
    look(uri, tracking.timeout_s, tracking.connect_timeout_s, may_be_new=False)
    client, call = MlflowClient(tracking_uri=uri), partial(within, tracking.timeout_s)
    run = call("look up the run", lambda: _run(client, run_id))
    tags, children = run.data.tags, f"tags.`{PARENT}` = '{run_id}'"
    runs = [run]
    if RECORD_ID not in tags:
        ask = partial(client.search_runs, [run.info.experiment_id], children, max_results=_MOST_CHILDREN)
        runs = call("list runs", ask)
    found, problems = [], []
    for each in runs:
        try:
            found.append(call("hand out a record", partial(_record, uri, each)))
        except (RecordError, TrackingError) as error:
            problems.append(f"MLflow run {each.info.run_id}: {error}")
    commands = tuple(filter(None, [tags.get("command")]))
    decided = tuple(tags.get(DECISION, "").splitlines())
    return Found(runs=tuple(found), problems=tuple(problems), commands=commands, decided=decided)


def _run(client: MlflowClient, run_id: str) -> Run:
    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        if error.error_code not in _ABSENT:
            raise
        raise StoreError("there is no such run; --tracking-uri names another store") from error
    if run.info.lifecycle_stage != "active":
        raise StoreError(f"the run was deleted; `mlflow runs restore --run-id {run_id}` brings it back")
    if not {RECORD_ID, SWEEP_ID} & run.data.tags.keys():
        raise StoreError(f"the run is of another program ({run.info.run_name}); give one of mps_experiments")
    return run


def _record(uri: str, run: Run) -> FoundRun:
    """Read a record where an embedded store keeps it, or else from a temporary copy."""
    place = urllib.parse.urlsplit(str(run.info.artifact_uri))
    if place.scheme in ("", "file"):
        folder = Path(urllib.request.url2pathname(place.path) if place.scheme else str(run.info.artifact_uri))
        return FoundRun(measurement=read_measurement(folder / FILE_NAME), folder=folder)
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")  # a bar for each record
    # A download that is late may still write while this is removed.
    with tempfile.TemporaryDirectory(prefix="mpsx-record-", ignore_cleanup_errors=True) as temporary:
        path = download_artifacts(
            run_id=run.info.run_id, artifact_path=FILE_NAME, dst_path=temporary, tracking_uri=uri
        )
        return FoundRun(measurement=read_measurement(Path(path)), folder=None)
