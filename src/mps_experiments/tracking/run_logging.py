"""One run's values, series and files into MLflow, in batches of the size that it takes."""

import time
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from mps_experiments.record.measurement import FILE_NAME, Measurement, has_files_of, to_json
from mps_experiments.record.run_files import run_files
from mps_experiments.tracking.fields import metrics_of, params_of
from mps_experiments.tracking.series import latency_series, telemetry_series

_MAX_BATCH = 1000  # metrics that MLflow takes in one call


def log_values(client: MlflowClient, run_id: str, measurement: Measurement, at_ms: int) -> None:
    """Log params, metrics and series of a run that has none yet; `at_ms` is its end, since the epoch."""
    params = [Param(key, value) for key, value in params_of(measurement).items()]
    metrics = [_metric(key, value, at_ms) for key, value in metrics_of(measurement).items()]
    client.log_batch(run_id, metrics=metrics, params=params)
    points = [_metric(*point) for point in chain(latency_series(measurement), telemetry_series(measurement))]
    for first in range(0, len(points), _MAX_BATCH):
        client.log_batch(run_id, metrics=points[first : first + _MAX_BATCH])


def log_changed(
    client: MlflowClient,
    run_id: str,
    metrics: Mapping[str, float],
    tags: Mapping[str, str],
    params: Mapping[str, str] | None = None,
) -> None:
    """Log what is new: a metric logged again becomes a chart of equal points; a param never changes."""
    known, now_ms = client.get_run(run_id).data, round(time.time() * 1000)
    logged = [_metric(key, value, now_ms) for key, value in metrics.items()]
    client.log_batch(
        run_id,
        metrics=[metric for metric in logged if known.metrics.get(metric.key) != metric.value],
        tags=[RunTag(key, value) for key, value in tags.items() if known.tags.get(key) != value],
        params=[Param(key, value) for key, value in (params or {}).items() if key not in known.params],
    )


def log_files(client: MlflowClient, run_id: str, measurement: Measurement, folder: Path) -> None:
    """Log the run's own files only: with hydra.run.dir=. the folder holds more, even the store itself."""
    client.log_text(run_id, to_json(measurement).decode(), FILE_NAME)
    if not has_files_of(folder, measurement.record_id):
        return
    for path in run_files(folder):
        client.log_artifact(run_id, str(path))
    for composed in (folder / ".hydra", folder.parent / ".hydra"):  # a trial's is its cell's
        if composed.is_dir():
            client.log_artifacts(run_id, str(composed), ".hydra")
            break


def log_report(client: MlflowClient, run_id: str, files: Iterable[Path]) -> None:
    """Log a report's files; figures keep the name of their folder, since the pages point to them there."""
    for path in files:
        client.log_artifact(run_id, str(path), path.parent.name if path.suffix == ".png" else None)


def _metric(name: str, value: float, at_ms: int, step: int = 0) -> Metric:
    """Round to seven digits: the UI shows all there are, and the record keeps the rest."""
    return Metric(name, float(f"{value:.7g}"), at_ms, step)
