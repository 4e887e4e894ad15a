"""A report put on the run of a sweep that MLflow has already."""

from collections.abc import Collection, Sequence
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run, ViewType

from mps_experiments.config import TrackingConfig
from mps_experiments.errors import TrackingError
from mps_experiments.tracking.deadline import within
from mps_experiments.tracking.mlflow_tracker import RECORD_ID, SWEEP_ID
from mps_experiments.tracking.notes import note_of
from mps_experiments.tracking.run_logging import log_report
from mps_experiments.tracking.sqlite import patiently
from mps_experiments.tracking.stored import RecordStore
from mps_experiments.tracking.views import link, sweep_view

_NOTE = "mlflow.note.content"
_PARENT = "mlflow.parentRunId"


def attach_report(
    tracking: TrackingConfig,
    sweep_id: str,
    record_ids: Collection[str],
    description: str,
    files: Sequence[Path],
) -> str | None:
    """Replace the description of a sweep's parent run and add the files to its artifacts.

    Args:
        tracking: Where MLflow is; nothing is created there.
        sweep_id: Of the sweep.
        record_ids: Those of the report's runs.
        description: Markdown.
        files: Those in a folder of their own keep its name.

    Returns:
        The id of the parent run; None if MLflow has none of this sweep.

    Raises:
        ConfigError: If the address leads to no MLflow store.
        TrackingError: If MLflow does not answer or refuses, or has runs of the sweep that the report has not:
            the report that is there would be replaced by one that says less.
    """
    RecordStore(tracking).open()  # refuses what is no store, and creates none
    assert tracking.uri is not None  # noqa: S101 - the caller knows the default
    client = MlflowClient(tracking_uri=tracking.uri)

    timeout_s = tracking.timeout_s

    def look() -> tuple[Run, set[str]] | None:
        run = _parent_of(client, tracking.experiment, sweep_id)
        return None if run is None else (run, _children(client, run))

    found = within(timeout_s, "look up the sweep", lambda: patiently(look, timeout_s))
    if found is None:
        return None
    run, children = found
    if lacking := len(children - set(record_ids)):
        raise TrackingError(f"{lacking} of the sweep's runs are not in this report, so the earlier one stays")

    def attach() -> None:
        note = note_of(description, link(run.info.experiment_id, sweep_view(sweep_id)))
        client.set_tag(run.info.run_id, _NOTE, note)
        log_report(client, run.info.run_id, files)

    within(timeout_s, "take the report", lambda: patiently(attach, timeout_s))
    return str(run.info.run_id)


def _parent_of(client: MlflowClient, experiment: str, sweep_id: str) -> Run | None:
    found = client.get_experiment_by_name(experiment)
    if found is None:
        return None
    if "'" in sweep_id:  # not one of ours, and MLflow could not be asked for it
        return None
    condition = f"tags.{SWEEP_ID} = '{sweep_id}' and tags.command != ''"  # a child has no command
    runs = client.search_runs([found.experiment_id], condition, ViewType.ACTIVE_ONLY, max_results=1)
    return runs[0] if runs else None


def _children(client: MlflowClient, parent: Run) -> set[str]:
    """Record ids of a sweep's runs."""
    condition = f"tags.`{_PARENT}` = '{parent.info.run_id}'"
    found: set[str] = set()
    token: str | None = None
    while True:
        page = client.search_runs(
            [parent.info.experiment_id], condition, ViewType.ACTIVE_ONLY, page_token=token
        )
        found |= {run.data.tags[RECORD_ID] for run in page if RECORD_ID in run.data.tags}
        token = page.token
        if not token:
            return found
