"""Records read back from a real SQLite store and from a real server."""

import hashlib
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient

from mps_experiments.config import TrackingConfig
from mps_experiments.errors import ConfigError
from mps_experiments.record import Measurement, write_measurement
from mps_experiments.tracking import stored
from mps_experiments.tracking.mlflow_tracker import MlflowTracker
from mps_experiments.tracking.stored import RecordStore
from mps_experiments.tracking.tracker import SweepInfo, SweepReport
from tests.records import make_measurement
from tests.tracking.conftest import free_port, mlflow_server

REPORT = SweepReport(tables="tables", description="tables")


@pytest.fixture
def experiment(request: pytest.FixtureRequest) -> str:
    return f"of {request.node.name}"


def log(uri: str, experiment: str, folder: Path, *measurements: Measurement, is_sweep: bool = True) -> str:
    """Log a sweep as the program does; returns the id of its parent run, or of its one run."""
    tracker = MlflowTracker(uri, experiment, folder / "artifacts", 60, 60)
    tracker.open()
    tracker.start_sweep(SweepInfo(sweep_id="sweep", name="a sweep", command="typed", is_sweep=is_sweep))
    for measurement in measurements:
        write_measurement(measurement, folder / measurement.record_id / "measurement.json")
        tracker.log_cell(measurement, folder / measurement.record_id, False)
    tracker.finish_sweep(measurements, REPORT, "FINISHED")
    client = MlflowClient(tracking_uri=uri)
    runs = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    return str(next(run.info.run_id for run in runs if ("record_id" in run.data.tags) != is_sweep))


def opened(uri: str) -> RecordStore:
    store = RecordStore(TrackingConfig(uri=uri, timeout_s=60))
    store.open()
    return store


def test_a_run_gives_its_record(uri: str, experiment: str, tmp_path: Path) -> None:
    measurement = make_measurement("alone")
    run_id = log(uri, experiment, tmp_path, measurement, is_sweep=False)
    found = opened(uri).find(run_id)
    assert found is not None
    assert [(each.run_id, each.measurement) for each in found.records] == [(run_id, measurement)]
    assert found.commands == ()


def test_a_parent_run_gives_its_children_and_an_experiment_all_its_runs(
    uri: str, experiment: str, tmp_path: Path
) -> None:
    measurements = [make_measurement(f"record-{n}", procs=n) for n in (1, 2)]
    parent = log(uri, experiment, tmp_path, *measurements)
    store = opened(uri)
    client = MlflowClient(tracking_uri=uri)
    number = client.get_experiment_by_name(experiment).experiment_id
    for word in (parent, experiment, number):
        found = store.find(word)
        assert found is not None
        assert {each.measurement.record_id for each in found.records} == {"record-1", "record-2"}
        assert found.commands == (("typed",) if word == parent else ())


def test_the_files_of_an_embedded_store_are_named_where_they_lie(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    run_id = log(uri, "e", tmp_path, make_measurement("alone"), is_sweep=False)
    found = opened(uri).find(run_id)
    assert found is not None
    assert [each.folder for each in found.records] == [tmp_path / "artifacts" / run_id / "artifacts"]


def test_what_was_fetched_from_a_server_leaves_no_file_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = tmp_path / "tmp"
    private.mkdir()
    with mlflow_server(tmp_path, free_port()) as (uri, _):
        run_id = log(uri, "e", tmp_path, make_measurement("alone"), is_sweep=False)
        monkeypatch.setattr(tempfile, "tempdir", str(private))
        found = opened(uri).find(run_id)
    assert found is not None
    assert [(each.folder, each.measurement.record_id) for each in found.records] == [(None, "alone")]
    assert list(private.iterdir()) == []


def test_a_run_of_another_program_is_refused(uri: str, experiment: str, tmp_path: Path) -> None:
    client = MlflowClient(tracking_uri=uri)
    number = client.create_experiment(experiment)
    run_id = client.create_run(number, run_name="theirs").info.run_id
    with pytest.raises(ConfigError, match=r"is a run of another program \(theirs\)"):
        opened(uri).find(run_id)
    with pytest.raises(ConfigError, match="has no runs of mps_experiments"):
        opened(uri).find(experiment)


@pytest.mark.parametrize("word", ["0" * 32, "no such experiment", "999999", "", "x" * 600])
def test_what_mlflow_does_not_know_is_nothing(uri: str, experiment: str, tmp_path: Path, word: str) -> None:
    log(uri, experiment, tmp_path, make_measurement())
    assert opened(uri).find(word) is None


def test_a_deleted_run_is_refused_with_the_way_back(uri: str, experiment: str, tmp_path: Path) -> None:
    run_id = log(uri, experiment, tmp_path, make_measurement(), is_sweep=False)
    MlflowClient(tracking_uri=uri).delete_run(run_id)
    with pytest.raises(ConfigError, match=f"restore --run-id {run_id}"):
        opened(uri).find(run_id)


def test_a_damaged_record_and_one_that_is_missing_are_named_and_the_rest_is_there(
    uri: str, experiment: str, tmp_path: Path
) -> None:
    good = make_measurement("good")
    parent = log(uri, experiment, tmp_path, good, make_measurement("bad"))
    client = MlflowClient(tracking_uri=uri)
    number = client.get_experiment_by_name(experiment).experiment_id
    bad = client.search_runs([number], "tags.record_id = 'bad'")[0].info.run_id
    client.log_text(bad, "{", "measurement.json")
    cut_off = client.create_run(number, tags={"record_id": "cut off", "mlflow.parentRunId": parent})
    found = opened(uri).find(parent)
    assert found is not None
    assert [each.measurement for each in found.records] == [good]
    assert len(found.problems) == 2
    assert f"MLflow run {bad}" in " ".join(found.problems)
    assert f"MLflow run {cut_off.info.run_id}" in " ".join(found.problems)


def test_a_record_that_is_too_large_is_not_read(
    uri: str, experiment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "_MAX_BYTES", 100)
    found = opened(uri).find(log(uri, experiment, tmp_path, make_measurement(), is_sweep=False))
    assert found is not None
    assert found.records == ()
    assert "more than 100" in found.problems[0]


def test_more_runs_than_mlflow_tells_at_once_are_all_found(
    uri: str, experiment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log(uri, experiment, tmp_path, *(make_measurement(f"record-{n}") for n in range(5)))
    monkeypatch.setattr(stored, "_PAGE", 2)
    found = opened(uri).find(experiment)
    assert found is not None
    assert len({each.measurement.record_id for each in found.records}) == 5


def test_reading_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    measurement = replace(make_measurement("alone"), name="a run")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    run_id = log(uri, "e", tmp_path, measurement, is_sweep=False)
    before = state(tmp_path)
    assert opened(uri).find(run_id) is not None
    assert state(tmp_path) == before


def state(folder: Path) -> dict[str, str]:
    """Each path below a folder and the digest of its content."""
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in folder.rglob("*")
    }


def test_an_address_that_does_not_answer_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match=r"--tracking-uri=http://127.0.0.1:9: .*refused"):
        opened("http://127.0.0.1:9")
