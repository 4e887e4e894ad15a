"""The MLflow index on a real SQLite store and on a real server."""

import json
import math
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from packaging.version import Version

from mps_experiments.analysis.explanation import explain
from mps_experiments.errors import ConfigError, TrackingError
from mps_experiments.record import disk
from mps_experiments.record.measurement import Measurement, read_measurement, write_measurement
from mps_experiments.record.outputs import OutputDifference
from mps_experiments.tracking.mlflow_tracker import MlflowTracker
from mps_experiments.tracking.tracker import SweepInfo, SweepReport
from mps_experiments.tracking.views import all_sweeps_view, sweep_view
from tests.evidence_records import traced_run, with_core_waits, with_telemetry
from tests.fakes.stores import locked, new_store
from tests.records import INVALID, SKIPPED, make_measurement
from tests.tracking.conftest import answering

INFO = SweepInfo(sweep_id="sweep", name="a sweep", command="python -m mps_experiments -m", is_sweep=True)
TABLES = SweepReport(tables="the tables", description="the tables")


@pytest.fixture
def opened(uri: str, request: pytest.FixtureRequest) -> Callable[[], MlflowTracker]:
    """Opens a tracker, as each start of the program does."""

    def open_tracker() -> MlflowTracker:
        tracker = MlflowTracker(uri, request.node.name, 60, 10)
        tracker.open()
        return tracker

    return open_tracker


@pytest.fixture
def runs(uri: str, request: pytest.FixtureRequest) -> Callable[[], dict[str, Run]]:
    """What MLflow shows: record id (or PARENT) -> run."""

    def read() -> dict[str, Run]:
        client = MlflowClient(tracking_uri=uri)
        experiment = client.get_experiment_by_name(request.node.name)
        found = client.search_runs([experiment.experiment_id])
        by_id = {run.data.tags.get("record_id", "PARENT"): run for run in found}
        assert len(by_id) == len(found), "a run was logged twice"
        return by_id

    return read


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run's folder, among them a file that is none of the run's."""
    path = tmp_path / "run"
    (path / ".hydra").mkdir(parents=True)
    for name in (".hydra/config.yaml", ".hydra/overrides.yaml", "worker-0.log", "control.log", "other.bin"):
        (path / name).write_text("text")
    return path


def broken(tmp_path: Path) -> Path:
    """A run's folder whose log cannot be sent, so that logging is cut off in the middle."""
    folder = tmp_path / "broken"
    if not folder.exists():
        folder.mkdir()
        (folder / "worker-0.log").symlink_to("nothing")
    return folder


def log_all(tracker: MlflowTracker, folder: Path, cells: list[Measurement], status: str) -> None:
    tracker.start_sweep(INFO)
    for cell in cells:
        tracker.log_cell(cell, folder, interrupted=False)
    tracker.finish_sweep(cells, TABLES, status)


def test_a_sweep_is_a_parent_with_a_child_per_cell(
    opened: Callable[[], MlflowTracker],
    runs: Callable[[], dict[str, Run]],
    folder: Path,
    uri: str,
    tmp_path: Path,
) -> None:
    cells = [
        make_measurement("two", procs=2, makespan_s=3.0),
        make_measurement("one", makespan_s=2.0),
        make_measurement("skipped", mps="on", verdict=SKIPPED),
        make_measurement("invalid", mps="on", procs=2, verdict=INVALID),
        make_measurement("alone", mps="on", procs=4),
    ]
    log_all(opened(), folder, cells, "FAILED")
    found = runs()
    parent, two, one = found.pop("PARENT"), found["two"], found["one"]
    client = MlflowClient(tracking_uri=uri)

    assert set(found) == {cell.record_id for cell in cells}
    assert {run.data.tags["mlflow.parentRunId"] for run in found.values()} == {parent.info.run_id}
    assert (parent.info.run_name, two.info.run_name) == ("a sweep", "mps=off procs=2 times=2")
    assert (parent.info.status, found["invalid"].info.status) == ("FAILED", "FAILED")
    assert (two.info.status, found["skipped"].info.status) == ("FINISHED", "FINISHED")
    assert (two.info.start_time, two.info.end_time) == (1_700_000_000_000, 1_700_000_005_000)
    assert (two.data.params["procs"], two.data.tags["verdict"]) == ("2", "VALID")
    assert two.data.metrics["makespan_s"] == pytest.approx(3.0)
    assert two.data.metrics["ratio"] == pytest.approx(1.5)
    assert two.data.tags["ratio_partner"] == one.info.run_id
    assert "ratio 1.50" in two.data.tags["mlflow.note.content"]
    assert "ratio" not in one.data.metrics
    assert "no VALID one-process run" in found["alone"].data.tags["ratio_missing"]
    assert (found["skipped"].data.metrics, found["invalid"].data.metrics) == ({}, {})
    counted = {"cells/valid": 3, "cells/invalid": 1, "cells/skipped": 1}
    assert (counted | {"best_procs": 4, "ratio_2_off": 1.5}).items() <= parent.data.metrics.items()
    assert "the tables" in parent.data.tags["mlflow.note.content"]
    assert "viewStateShareKey=mps-sweep-sweep&" in parent.data.tags["mlflow.note.content"]
    swept = {"procs": "1,2,4", "mps": "off,on", "times": "2", "gpu": "NVIDIA H100", "driver": "580.1"}
    assert swept.items() <= parent.data.params.items()
    assert parent.data.tags["verdict"] == "3 VALID, 1 SKIPPED, 1 INVALID"
    assert [each.path for each in client.list_artifacts(parent.info.run_id)] == ["tables.txt"]

    names = {each.path for each in client.list_artifacts(two.info.run_id)}
    assert names == {".hydra", "control.log", "measurement.json", "worker-0.log"}
    hydra = {each.path for each in client.list_artifacts(two.info.run_id, ".hydra")}
    assert hydra == {".hydra/config.yaml", ".hydra/overrides.yaml"}
    copy = client.download_artifacts(two.info.run_id, "measurement.json", str(tmp_path))
    assert read_measurement(Path(copy)) == cells[0]


def test_the_files_in_a_folder_that_was_used_again_are_logged_with_the_later_run(
    opened: Callable[[], MlflowTracker], runs: Callable[[], dict[str, Run]], folder: Path, uri: str
) -> None:
    cells = [make_measurement("earlier"), make_measurement("later")]
    for cell in cells:
        write_measurement(cell, folder / "measurement.json")
    log_all(opened(), folder, cells, "FINISHED")
    client, found = MlflowClient(tracking_uri=uri), runs()
    listed = {cell.record_id: client.list_artifacts(found[cell.record_id].info.run_id) for cell in cells}
    assert [each.path for each in listed["earlier"]] == ["measurement.json"]
    assert len(listed["later"]) == 4


def test_the_view_of_a_sweep_leaves_out_its_parent_twins_and_what_is_not_valid(
    opened: Callable[[], MlflowTracker],
    runs: Callable[[], dict[str, Run]],
    folder: Path,
    uri: str,
    request: pytest.FixtureRequest,
) -> None:
    cells = [
        make_measurement("one", makespan_s=4.0),
        make_measurement("twin", makespan_s=2.0, twin=1),
        make_measurement("two", procs=2, makespan_s=5.0),
        make_measurement("invalid", mps="on", verdict=INVALID),
    ]
    log_all(opened(), folder, cells, "FAILED")
    state = json.loads(sweep_view("sweep")[1])
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`throughput_per_s`", False)
    client = MlflowClient(tracking_uri=uri)
    ids = [client.get_experiment_by_name(request.node.name).experiment_id]
    found = client.search_runs(ids, state["searchFilter"], order_by=[f"{state['orderByKey']} DESC"])
    assert [run.data.tags["record_id"] for run in found] == ["two", "one"]
    assert len(runs()) == 5


@pytest.mark.parametrize("uri", ["sqlite"], indirect=True)
def test_a_run_without_a_sweep_has_no_parent_and_one_cut_short_is_killed(
    opened: Callable[[], MlflowTracker], runs: Callable[[], dict[str, Run]], folder: Path
) -> None:
    tracker = opened()
    tracker.start_sweep(SweepInfo(sweep_id="s", name="n", command="c", is_sweep=False))
    tracker.log_cell(make_measurement("single", verdict=INVALID), folder, interrupted=True)
    found = runs()
    assert set(found) == {"single"}
    assert found["single"].info.status == "KILLED"
    assert "mlflow.parentRunId" not in found["single"].data.tags


def evident_cells() -> list[Measurement]:
    """A cell and its one-process run, both with all evidence, read 1,500 times."""
    one = traced_run("one", procs=1, mps="on", iteration_ms=10.0, running_ms=9.5)
    two = traced_run("two", mps="on", iteration_ms=18.0, running_ms=15.0, behind_ms=2.5)
    gpu: dict[str, Any] = {"power_w": 350.0, "sm_activity": 0.97, "dram_activity": 0.25, "sm_clock_mhz": 1980}
    infinite = OutputDifference(identical=False, largest=math.inf, excess=0.5, where="0.boxes", compared=1)
    return [
        replace(with_core_waits(one, 0.0), telemetry=None),
        replace(with_telemetry(with_core_waits(two, 0.01, 0.02), count=1500, **gpu), parity=infinite),
    ]


def test_evidence_is_in_mlflow_as_series_files_metrics_and_the_cause_and_logging_it_again_adds_nothing(
    opened: Callable[[], MlflowTracker],
    runs: Callable[[], dict[str, Run]],
    folder: Path,
    uri: str,
    tmp_path: Path,
) -> None:
    cells, client, seen = evident_cells(), MlflowClient(tracking_uri=uri), []
    (folder / "trace.json.gz").write_bytes(b"\x1f\x8bwhole")
    (folder / "timeline.png").write_bytes(b"\x89PNG whole")
    for _ in range(2):
        log_all(opened(), folder, cells, "FINISHED")
        found = runs()
        seen.append({run.info.run_id: run.data.to_dictionary() for run in found.values()})
    assert seen[0] == seen[1]

    one, two = found["one"], found["two"]
    asked = [name for name in two.data.metrics if name.startswith(("system/", "by_iteration/", "ratio"))]
    histories = {name: client.get_metric_history(two.info.run_id, name) for name in asked}
    system = {name.removeprefix("system/gpu_0_") for name in histories if name.startswith("system/")}
    percentages = ("sm_activity_percentage", "dram_activity_percentage")
    assert system == {"power_usage_watts", "sm_clock_mhz", *percentages}
    lengths = {name: len(points) for name, points in histories.items()}
    assert {lengths.pop(f"system/gpu_0_{name}") for name in system} == {750}
    assert {lengths.pop(f"by_iteration/worker_{rank}_ms") for rank in (0, 1)} == {100}
    assert set(lengths.values()) == {1}
    assert {point.value for point in histories["system/gpu_0_sm_activity_percentage"]} == {97.0}
    assert [name for name in one.data.metrics if name.startswith(("system/", "gpu/"))] == []

    names = {each.path for each in client.list_artifacts(two.info.run_id)}
    assert names >= {"measurement.json", "timeline.png", "trace.json.gz"}
    assert "other.bin" not in names
    for name in ("timeline.png", "trace.json.gz"):
        copy = Path(client.download_artifacts(two.info.run_id, name, str(tmp_path)))
        assert copy.read_bytes() == (folder / name).read_bytes()

    why = explain(cells[1], cells[0])
    assert why is not None
    assert (two.data.tags["cause"], two.data.tags["why"]) == ("SM-limited", why.text)
    assert two.data.metrics["trace/overlap_share"] == 0.125
    assert two.data.metrics["gpu/power_mean_w"] == 350.0
    assert "output/largest_difference" not in two.data.metrics  # infinite: MLflow would keep 1.8e308


@pytest.mark.parametrize("uri", ["sqlite"], indirect=True)
def test_a_run_cut_off_before_it_was_complete_is_replaced(
    opened: Callable[[], MlflowTracker], runs: Callable[[], dict[str, Run]], folder: Path, tmp_path: Path
) -> None:
    tracker = opened()
    tracker.start_sweep(INFO)
    with pytest.raises(TrackingError, match="could not log mps=off procs=1 times=2"):
        tracker.log_cell(make_measurement("one"), broken(tmp_path), interrupted=False)
    cut_off = runs()["one"]
    assert cut_off.info.status == "RUNNING"
    log_all(opened(), folder, [make_measurement("one")], "FINISHED")
    assert runs()["one"].info.status == "FINISHED"
    assert runs()["one"].info.run_id != cut_off.info.run_id


def test_a_deleted_experiment_is_refused_with_the_way_back(
    opened: Callable[[], MlflowTracker], uri: str, request: pytest.FixtureRequest
) -> None:
    opened()
    client = MlflowClient(tracking_uri=uri)
    experiment_id = client.get_experiment_by_name(request.node.name).experiment_id
    client.delete_experiment(experiment_id)
    with pytest.raises(ConfigError) as refused:
        opened()
    command = f"mlflow experiments restore --experiment-id {experiment_id}"
    assert f"{request.node.name}: was deleted; restore it with: " in str(refused.value)
    assert f"MLFLOW_TRACKING_URI={shlex.quote(uri)} {command}; or name another" in str(refused.value)
    client.restore_experiment(experiment_id)
    opened()


def test_the_hint_and_the_experiment_lead_to_the_sweeps_view(
    opened: Callable[[], MlflowTracker], uri: str, request: pytest.FixtureRequest
) -> None:
    tracker = opened()
    tracker.start_sweep(INFO)
    key, _ = sweep_view("sweep")
    *command, page = tracker.browse_hint().splitlines()
    assert f"viewStateShareKey={key.rpartition('.')[2]}&" in page
    assert (uri if uri.startswith("http") else "http://127.0.0.1:5000") in page
    assert not command or command[0].endswith(f" -m mlflow ui --backend-store-uri {shlex.quote(uri)}")
    experiment = MlflowClient(tracking_uri=uri).get_experiment_by_name(request.node.name)
    assert dict([sweep_view("sweep"), all_sweeps_view()]).items() <= experiment.tags.items()


@pytest.mark.parametrize("uri", ["sqlite"], indirect=True)
def test_a_view_that_mlflow_does_not_take_costs_nothing(
    opened: Callable[[], MlflowTracker],
    runs: Callable[[], dict[str, Run]],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    too_long = ("mlflow.sharedViewState.x", "x" * 99_999)
    monkeypatch.setattr("mps_experiments.tracking.mlflow_tracker.sweep_view", lambda _: too_long)
    log_all(opened(), folder, [make_measurement("one")], "FINISHED")
    assert set(runs()) == {"PARENT", "one"}


LOGIN = "set or correct MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
DENIED = b'{"error_code": "PERMISSION_DENIED", "message": "not yours"}'


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (401, b"You are not authenticated.", f"(401: You are not authenticated.); {LOGIN}"),
        (403, b"<html>Forbidden</html>", f"(403: an HTML page); {LOGIN}"),
        (403, DENIED, f"(403: PERMISSION_DENIED: not yours); {LOGIN}"),
        (404, b"<html>nginx</html>", "(404: an HTML page); it is no MLflow, or not at this path or scheme"),
    ],
)
@pytest.mark.parametrize("health", [(200, b"OK"), None], ids=["healthy", "guarded"])
def test_a_server_that_refuses_is_told_from_none(
    tmp_path: Path, status: int, body: bytes, said: str, health: tuple[int, bytes] | None
) -> None:
    with answering(status, body, answers={"/health": health} if health else {}) as address:
        line = refusal(address, tmp_path)
    assert line.startswith(f"tracking.uri={address}: ")
    assert f"the server there refuses {said}" in line
    assert line.endswith(", or use tracking=sqlite or tracking=none")


def test_an_account_that_may_only_read_is_told_so(tmp_path: Path) -> None:
    known = b'{"experiment": {"experiment_id": "1", "name": "e", "lifecycle_stage": "active"}}'
    answers = {"/health": (200, b"OK"), "/api/2.0/mlflow/experiments/get": (200, known)}
    with answering(403, b"Permission denied", answers=answers) as address:
        said = refusal(address, tmp_path)
    assert "MLflow could not write to the store: the server there refuses (403: Permission denied)" in said


def test_a_folder_is_a_store_only_where_mlflow_itself_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = (tmp_path / "mlruns").as_uri()
    if Version(mlflow.__version__) >= Version("3.10"):  # earlier ones still write folders
        assert "MLflow no longer keeps runs in a folder; name a database" in refusal(address, tmp_path)
        assert not (tmp_path / "mlruns").exists()
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    MlflowTracker(address, "e", 60.0, 10.0).open()


def test_a_database_that_stays_locked_is_told_so_and_looking_creates_nothing(tmp_path: Path) -> None:
    uri = new_store(tmp_path / "mlflow.db")
    with locked(tmp_path / "mlflow.db"):
        assert "another program has locked the database; try again" in refusal(uri, tmp_path, timeout_s=10)
    MlflowTracker(f"sqlite:///{tmp_path / 'new.db'}", "e", 20, 10).look()
    assert not (tmp_path / "new.db").exists()


def refusal(address: str, tmp_path: Path, timeout_s: float = 20.0) -> str:
    with pytest.raises(ConfigError) as caught:
        MlflowTracker(address, "e", timeout_s, 10.0).open()
    text = str(caught.value)
    assert "tracking=none" in text
    assert "\n" not in text
    assert not (tmp_path / "mlartifacts").exists()
    return text


def test_a_new_store_is_opened_by_one_program_at_a_time(tmp_path: Path) -> None:
    """MLflow's migrations do not bear two at once."""
    uri = new_store(tmp_path / "mlflow.db")
    with disk.locked(tmp_path / ".mlflow.db.lock"):
        assert "MLflow did not open the store within 1 s" in refusal(uri, tmp_path, timeout_s=1)
    MlflowTracker(uri, "e", 20, 10).open()


def test_the_files_of_an_sqlite_store_lie_beside_it_unless_the_experiment_has_a_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri, elsewhere = new_store(tmp_path / "mlflow.db"), (tmp_path / "elsewhere").as_uri()
    client = MlflowClient(tracking_uri=uri)
    client.create_experiment("there before", elsewhere)
    monkeypatch.chdir(tmp_path)
    for address, name in ((uri, "there before"), (uri, "new"), ("sqlite:///mlflow.db", "relative")):
        MlflowTracker(address, name, 20, 10).open()
    names = ("there before", "new", "relative")
    places = {name: client.get_experiment_by_name(name).artifact_location for name in names}
    beside = (tmp_path / "mlartifacts").as_uri()
    assert places == {"there before": elsewhere, "new": beside, "relative": beside}


def test_the_deadline_is_that_of_one_run_however_many_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = MlflowTracker(new_store(tmp_path / "mlflow.db"), "e", 30, 30)
    tracker.open()
    cells = [make_measurement(str(number), repeat=number) for number in range(4)]
    tracker.start_sweep(INFO)
    for cell in cells:
        tracker.log_cell(cell, tmp_path, interrupted=False)
    asked = []

    def slow(timeout_s: float, what: str, call: Callable[[], object]) -> object:
        asked.append((timeout_s, what))
        return call()

    monkeypatch.setattr("mps_experiments.tracking.mlflow_tracker.within", slow)
    tracker.finish_sweep(cells, TABLES, "FINISHED")
    assert asked == [(30, "log a ratio")] * 4 + [(30, "finish the sweep")]
