"""Records read back from a real SQLite store and from a real server."""

import hashlib
import tempfile
from pathlib import Path

import pytest
from mlflow import MlflowClient

from mps_experiments.errors import TrackingError
from mps_experiments.record.measurement import Measurement, write_measurement
from mps_experiments.tracking.mlflow_tracker import MlflowTracker
from mps_experiments.tracking.stored import stored_records
from mps_experiments.tracking.tracker import SweepInfo, SweepReport
from tests.fakes.stores import new_store
from tests.records import make_measurement

DECIDED = ("USE procs=2", "runs: 4")
REPORT = SweepReport(tables="tables", description="tables", decided=DECIDED)


@pytest.fixture
def experiment(request: pytest.FixtureRequest) -> str:
    return f"of {request.node.name}"


def log(uri: str, experiment: str, folder: Path, *measurements: Measurement, is_sweep: bool = True) -> str:
    """Log a sweep as the program does; returns the id of its parent run, or of its one run."""
    tracker = MlflowTracker(uri, experiment, 60, 60)
    tracker.open()
    tracker.start_sweep(SweepInfo(sweep_id="sweep", name="a sweep", command="typed", is_sweep=is_sweep))
    for measurement in measurements:
        write_measurement(measurement, folder / measurement.record_id / "measurement.json")
        tracker.log_cell(measurement, folder / measurement.record_id, False)
    tracker.finish_sweep(measurements, REPORT, "FINISHED")
    client = MlflowClient(tracking_uri=uri)
    runs = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    return str(next(run.info.run_id for run in runs if ("record_id" in run.data.tags) != is_sweep))


def test_a_run_gives_its_record_and_leaves_no_copy_behind(
    uri: str,
    experiment: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    measurement = make_measurement("alone")
    run_id = log(uri, experiment, tmp_path, measurement, is_sweep=False)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    found = stored_records(uri, run_id)
    is_local = uri.startswith("sqlite")
    beside = Path(uri.removeprefix("sqlite:///")).with_name("mlartifacts")
    folder = beside / run_id / "artifacts" if is_local else None
    assert [(each.measurement, each.folder) for each in found.runs] == [(measurement, folder)]
    assert (found.problems, found.commands, found.decided) == ((), (), ())
    assert list((tmp_path / "tmp").iterdir()) == []
    assert capfd.readouterr().err == ""  # no progress bar


def test_a_parent_run_gives_its_children_and_names_those_that_are_damaged_or_cut_off(
    uri: str, experiment: str, tmp_path: Path
) -> None:
    good = make_measurement("good")
    parent = log(uri, experiment, tmp_path, good, make_measurement("bad", procs=2))
    assert {each.measurement.record_id for each in stored_records(uri, parent).runs} == {"good", "bad"}
    client = MlflowClient(tracking_uri=uri)
    number = client.get_experiment_by_name(experiment).experiment_id
    bad = client.search_runs([number], "tags.record_id = 'bad'")[0].info.run_id
    client.log_text(bad, "{", "measurement.json")
    cut_off = client.create_run(number, tags={"record_id": "cut off", "mlflow.parentRunId": parent})
    found = stored_records(uri, parent)
    assert ([each.measurement for each in found.runs], found.commands) == ([good], ("typed",))
    assert found.decided == DECIDED
    assert sorted(problem.split(":")[0] for problem in found.problems) == sorted(
        [f"MLflow run {bad}", f"MLflow run {cut_off.info.run_id}"]
    )


def test_runs_that_are_deleted_unknown_or_of_another_program_are_refused(
    uri: str, experiment: str, tmp_path: Path
) -> None:
    deleted = log(uri, experiment, tmp_path, make_measurement(), is_sweep=False)
    client = MlflowClient(tracking_uri=uri)
    client.delete_run(deleted)
    number = client.get_experiment_by_name(experiment).experiment_id
    theirs = client.create_run(number, run_name="theirs").info.run_id
    for run_id, said in (
        (deleted, f"restore --run-id {deleted}"),
        (theirs, r"of another program \(theirs\)"),
        ("0" * 32, "there is no such run"),
    ):
        with pytest.raises(TrackingError, match=said):
            stored_records(uri, run_id)


def test_reading_changes_nothing_and_creates_no_store(tmp_path: Path) -> None:
    def state() -> dict[str, str]:
        paths = [path for path in tmp_path.rglob("*") if path.is_file()]
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}

    uri = new_store(tmp_path / "mlflow.db")
    run_id = log(uri, "e", tmp_path, make_measurement("alone"), is_sweep=False)
    before = state()
    assert stored_records(uri, run_id).runs
    with pytest.raises(TrackingError, match="there is no MLflow store"):
        stored_records(f"sqlite:///{tmp_path / 'absent.db'}", run_id)
    with pytest.raises(TrackingError, match="refused"):
        stored_records("http://127.0.0.1:9", run_id)
    assert state() == before
