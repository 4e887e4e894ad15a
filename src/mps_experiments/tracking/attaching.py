"""A report put on the run of a sweep that MLflow has already."""

from collections.abc import Sequence
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run, ViewType

from mps_experiments.config import TrackingConfig
from mps_experiments.tracking.deadline import within
from mps_experiments.tracking.mlflow_tracker import SWEEP_ID
from mps_experiments.tracking.notes import note_of
from mps_experiments.tracking.sqlite import patiently
from mps_experiments.tracking.stored import RecordStore
from mps_experiments.tracking.views import link, sweep_view

_NOTE = "mlflow.note.content"


def attach_report(
    tracking: TrackingConfig, sweep_id: str, description: str, files: Sequence[Path]
) -> str | None:
    """Replace the description of a sweep's parent run and add the files to its artifacts.

    Args:
        tracking: Where MLflow is; nothing is created there.
        sweep_id: Of the sweep.
        description: Markdown.
        files: Those in a folder of their own keep its name.

    Returns:
        The id of the parent run; None if MLflow has none of this sweep.

    Raises:
        ConfigError: If the address leads to no MLflow store.
        TrackingError: If MLflow does not answer or refuses.
    """
    RecordStore(tracking).open()  # refuses what is no store, and creates none
    assert tracking.uri is not None  # noqa: S101 - the caller knows the default
    client = MlflowClient(tracking_uri=tracking.uri)

    def attach() -> str | None:
        run = _parent_of(client, tracking.experiment, sweep_id)
        if run is None:
            return None
        note = note_of(description, link(run.info.experiment_id, sweep_view(sweep_id)))
        client.set_tag(run.info.run_id, _NOTE, note)
        for path in files:
            client.log_artifact(
                run.info.run_id, str(path), path.parent.name if path.suffix == ".png" else None
            )
        return str(run.info.run_id)

    timeout_s = tracking.timeout_s
    return within(timeout_s, "take the report", lambda: patiently(attach, timeout_s))


def _parent_of(client: MlflowClient, experiment: str, sweep_id: str) -> Run | None:
    found = client.get_experiment_by_name(experiment)
    if found is None:
        return None
    if "'" in sweep_id:  # not one of ours, and MLflow could not be asked for it
        return None
    condition = f"tags.{SWEEP_ID} = '{sweep_id}' and tags.command != ''"  # a child has no command
    runs = client.search_runs([found.experiment_id], condition, ViewType.ACTIVE_ONLY, max_results=1)
    return runs[0] if runs else None
