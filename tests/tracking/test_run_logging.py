"""One run's values, series and files on a real SQLite store."""

from pathlib import Path

import pytest
from mlflow import MlflowClient

from mps_experiments.tracking.run_logging import log_changed, log_report, log_values
from tests.fakes.stores import new_store
from tests.records import make_measurement


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> MlflowClient:
    folder = tmp_path_factory.mktemp("store")
    client = MlflowClient(tracking_uri=new_store(folder / "mlflow.db"))
    client.create_experiment("e", artifact_location=(folder / "artifacts").as_uri())
    return client


@pytest.fixture
def run_id(client: MlflowClient) -> str:
    return str(client.create_run(client.get_experiment_by_name("e").experiment_id).info.run_id)


def test_a_run_of_many_iterations_fits_into_mlflows_batches(client: MlflowClient, run_id: str) -> None:
    log_values(client, run_id, make_measurement(procs=8, times=5000), 1_700_000_000_000)
    names = [name for name in client.get_run(run_id).data.metrics if name.startswith("by_iteration/")]
    assert len(names) == 8
    points = [point for name in names for point in client.get_metric_history(run_id, name)]
    assert 900 < len(points) <= 1000
    assert len({(point.key, point.step) for point in points}) == len(points)


def test_a_value_has_seven_digits_and_is_logged_again_only_if_it_changed(
    client: MlflowClient, run_id: str
) -> None:
    for value in (10 / 3, 10 / 3 + 1e-12, 3.5):
        log_changed(client, run_id, {"ratio": value, "count": 1234.0}, {"why": "so"}, {"procs": str(value)})
    history = client.get_metric_history(run_id, "ratio")
    assert sorted(point.value for point in history) == [3.333333, 3.5]
    data = client.get_run(run_id).data
    assert (data.metrics["count"], data.tags["why"], data.params["procs"]) == (1234.0, "so", str(10 / 3))


def test_a_reports_figures_keep_their_folder_and_its_pages_are_on_top(
    client: MlflowClient, run_id: str, tmp_path: Path
) -> None:
    (tmp_path / "figures").mkdir()
    files = [tmp_path / "report.html", tmp_path / "report.md", tmp_path / "figures" / "ratio.png"]
    for path in files:
        path.write_bytes(b"text")
    log_report(client, run_id, files)
    top = {each.path for each in client.list_artifacts(run_id)}
    assert top == {"report.html", "report.md", "figures"}
    assert [each.path for each in client.list_artifacts(run_id, "figures")] == ["figures/ratio.png"]
