"""Logging later what MLflow has missed: once each, as its sweep would have."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from mps_experiments.analysis.numbers import moment
from mps_experiments.record.disk import writing_in
from mps_experiments.record.measurement import FILE_NAME, Measurement, write_measurement
from mps_experiments.sweep.report_command import main as report
from mps_experiments.sweep.sync import main
from tests.fakes.stores import new_store
from tests.record.test_disk import held
from tests.records import INVALID, interrupted, make_measurement, read_json
from tests.test_nothing_lost import standing_still

ONE = make_measurement("one", makespan_s=2.0)
TWO = make_measurement("two", procs=2, makespan_s=3.0)


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store; each test uses an experiment of its own in it."""
    return new_store(tmp_path_factory.mktemp("store") / "mlflow.db")


@pytest.fixture
def into(uri: str, request: pytest.FixtureRequest) -> list[str]:
    """The arguments that name the test's experiment."""
    return ["--tracking-uri", uri, "--experiment", request.node.name]


@pytest.fixture
def runs(into: list[str]) -> Callable[[], dict[str, Run]]:
    """What MLflow shows: record id (or the sweep's id for a parent) -> run."""
    return lambda: logged(into[1], into[3])


def logged(uri: str, experiment_name: str) -> dict[str, Run]:
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name(experiment_name)
    found = client.search_runs([experiment.experiment_id]) if experiment is not None else []
    by_id = {run.data.tags.get("record_id", run.data.tags["sweep_id"]): run for run in found}
    assert len(by_id) == len(found), "a run was logged twice"
    return by_id


def write_sweep(folder: Path, *cells: Measurement, status: str | None = "FINISHED") -> Path:
    """A sweep's folder as the program leaves it; without a status, without sweep.json too."""
    for cell in cells:
        write_measurement(cell, folder / cell.record_id / FILE_NAME)
    if status is not None:
        write_summary(folder / "sweep.json", cells[0].sweep_id, status)
    return folder


def write_summary(path: Path, sweep_id: str, status: str, *cells: dict[str, str]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        json.dumps({"sweep_id": sweep_id, "command": "typed", "status": status, "cells": list(cells)})
    )


def test_a_sweep_is_logged_once_with_its_parent_command_tables_and_ratios(
    tmp_path: Path, into: list[str], runs: Callable[[], dict[str, Run]], capsys: pytest.CaptureFixture[str]
) -> None:
    write_sweep(tmp_path / "sweep", ONE, TWO)
    write_measurement(ONE, tmp_path / "mlartifacts" / "x" / "artifacts" / FILE_NAME)  # a copy
    points = []
    for said in ("logged 2 records; already in MLflow: 0", "logged 0 records; already in MLflow: 2"):
        assert main([str(tmp_path), str(tmp_path), *into]) == 0
        assert capsys.readouterr().out == f"{said}\n"
        found = runs()
        assert {name: run.info.status for name, run in found.items()} == dict.fromkeys(
            ("sweep", "one", "two"), "FINISHED"
        )
        client, two = MlflowClient(tracking_uri=into[1]), found["two"]
        points.append({key: client.get_metric_history(two.info.run_id, key) for key in two.data.metrics})
    assert points[0] == points[1]
    assert two.data.tags["mlflow.parentRunId"] == found["sweep"].info.run_id
    assert two.data.metrics["ratio"] == pytest.approx(1.5)
    parent = found["sweep"].data
    assert (parent.tags["command"], parent.metrics["cells/valid"]) == ("typed", 2)
    (row,) = [line for line in parent.tags["mlflow.note.content"].splitlines() if line.startswith("| 2 ")]
    assert "| 1.50 " in row


def test_the_last_sweep_is_the_default_and_its_store_that_of_its_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    outputs = tmp_path / "outputs"
    for name, started_at in (("last", 200.0), ("before", 100.0)):
        cell = make_measurement(name, sweep_id=f"sweep of {name}", output_dir=outputs)
        write_sweep(outputs / name, replace(cell, started_at=started_at))
        entry = {"name": name, "record_id": name, "folder": name}
        write_summary(outputs / name / "sweep.json", f"sweep of {name}", "FINISHED", entry)
    store = new_store(outputs / "mlflow.db")
    assert main(["--output-dir", str(outputs)]) == 0
    assert set(logged(store, "mps_experiments")) == {"sweep of last", "last"}
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_outputs_that_were_moved_bring_their_store_along(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    old, new = tmp_path / "old", tmp_path / "new"
    write_sweep(old / "day" / "sweep", make_measurement("one", output_dir=old))
    assert main([str(old)]) == 0
    old.rename(new)
    capsys.readouterr()
    assert main([str(new / "day" / "sweep")]) == 0
    assert capsys.readouterr().out == "logged 0 records; already in MLflow: 1\n"
    assert not (old / "mlflow.db").exists()


def test_a_second_store_has_its_own_files_when_the_outputs_are_gone(tmp_path: Path) -> None:
    outputs = tmp_path / "outputs"
    write_sweep(outputs / "sweep", make_measurement("one", output_dir=outputs))
    new_store(outputs / "mlflow.db")
    second = new_store(tmp_path / "second" / "second.db")
    for into in ([], ["--tracking-uri", second]):
        assert main([str(outputs / "sweep"), *into]) == 0
    assert len(list((outputs / "mlartifacts").glob("*/artifacts/measurement.json"))) == 1
    shutil.rmtree(outputs)
    run_id = logged(second, "mps_experiments")["one"].info.run_id
    assert (tmp_path / "second" / "mlartifacts" / run_id / "artifacts" / FILE_NAME).is_file()


def test_runs_of_tracking_none_are_logged_only_if_their_own_folder_is_named(
    tmp_path: Path,
    into: list[str],
    runs: Callable[[], dict[str, Run]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    untracked = replace(TWO, sweep_id="private", config=TWO.config | {"tracking": {"enabled": False}})
    sweep = write_sweep(tmp_path / "private", untracked)
    write_sweep(tmp_path / "sweep", ONE)
    assert main([str(tmp_path), *into]) == 0
    assert set(runs()) == {"sweep", "one"}
    assert "skipped 1 records of tracking=none; name their sweep's folder" in capsys.readouterr().out
    assert main([str(tmp_path), str(sweep), *into]) == 0
    assert set(runs()) == {"sweep", "one", "private", "two"}


def test_of_a_run_s_own_folder_the_run_is_logged_and_its_sweep_is_told_of_as_a_whole(
    tmp_path: Path, into: list[str], runs: Callable[[], dict[str, Run]], capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = write_sweep(tmp_path / "sweep", ONE, TWO)
    cells = [{"record_id": each.record_id, "name": each.name} for each in (ONE, TWO)]
    write_summary(sweep / "sweep.json", ONE.sweep_id, "FINISHED", *cells)
    assert main([str(sweep / TWO.record_id), *into]) == 0
    assert capsys.readouterr().out == "logged 1 records; already in MLflow: 0\n"
    found = runs()
    assert set(found) == {TWO.record_id, TWO.sweep_id}
    assert found[TWO.sweep_id].data.metrics["cells/valid"] == 2
    assert found[TWO.record_id].data.metrics["ratio"] == pytest.approx(1.5)
    assert "2 VALID" in (sweep / "report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("status", "cells", "expected"),
    [
        ("FAILED", (ONE, make_measurement("bad", verdict=INVALID)), "FAILED"),
        ("KILLED", (ONE, interrupted("cut")), "KILLED"),
        ("RUNNING", (ONE,), "KILLED"),
    ],
    ids=["failed", "interrupted", "the runner was killed"],
)
def test_a_parent_logged_later_ends_as_its_sweep_did(
    tmp_path: Path,
    into: list[str],
    runs: Callable[[], dict[str, Run]],
    status: str,
    cells: tuple[Measurement, ...],
    expected: str,
) -> None:
    assert main([str(write_sweep(tmp_path, *cells, status=status)), *into]) == 0
    found = runs()
    assert found["sweep"].info.status == expected
    assert found["one"].info.status == "FINISHED"
    assert found[cells[-1].record_id].info.status == ("FINISHED" if len(cells) == 1 else expected)


def test_a_sweep_logged_later_has_its_own_name_or_else_that_of_its_first_run(
    tmp_path: Path, into: list[str], runs: Callable[[], dict[str, Run]]
) -> None:
    begun = moment(ONE.started_at)
    for sweep_id, name in (("with", "resnet50 2026-11-29 17:43:10"), ("without", "")):
        folder = write_sweep(tmp_path / sweep_id, replace(ONE, record_id=f"of {sweep_id}", sweep_id=sweep_id))
        path = folder / "sweep.json"
        path.write_text(json.dumps(read_json(path) | ({"name": name} if name else {})))
    assert main([str(tmp_path), *into]) == 0
    found = runs()
    assert found["with"].info.run_name == "resnet50 2026-11-29 17:43:10 (logged later)"
    assert found["without"].info.run_name == f"maskrcnn_resnet50_fpn {begun} (logged later)"


def test_a_record_that_two_sweeps_have_counts_once(
    tmp_path: Path, into: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    write_sweep(tmp_path / "earlier", replace(ONE, sweep_id="an earlier one"))
    later = write_sweep(tmp_path / "later", TWO)
    entry = {"name": "a", "record_id": "one", "folder": "a", "resumed_from": "../earlier/one"}
    write_summary(later / "sweep.json", "sweep", "FINISHED", entry)
    for said in ("logged 2 records; already in MLflow: 0", "logged 0 records; already in MLflow: 2"):
        assert main([str(tmp_path), *into]) == 0
        assert capsys.readouterr().out == f"{said}\n"


def parents(uri: str) -> dict[str, tuple[str, str, list[float]]]:
    """What MLflow shows of each sweep: its status, its `times`, and all values that cells/valid ever had."""
    client = MlflowClient(tracking_uri=uri)
    return {
        name: (
            run.info.status,
            run.data.params["times"],
            [point.value for point in client.get_metric_history(run.info.run_id, "cells/valid")],
        )
        for name, run in logged(uri, "mps_experiments").items()
        if "command" in run.data.tags
    }


def test_a_sweep_under_way_is_left_alone_until_it_has_ended_and_others_are_logged(tmp_path: Path) -> None:
    with standing_still(tmp_path) as sweep:
        ended = make_measurement("ended", sweep_id="earlier", output_dir=sweep.outputs)
        write_sweep(sweep.outputs / "ended", ended)
        (live,) = (path.parent for path in sweep.outputs.glob("*/*/sweep.json"))
        (run,) = (path.parent for path in live.rglob(FILE_NAME))
        for given, count in ((sweep.outputs, 1), (live, 0), (run, 0)):
            synced = sweep.sync(str(given))
            assert (synced.returncode, synced.stderr) == (0, "")
            assert synced.stdout == (
                f"{live}: its sweep is under way and logs its runs itself\n"
                f"logged {count} records; already in MLflow: 0\n"
            )
        sweep_id = read_json(live / "sweep.json")["sweep_id"]
        assert logged(sweep.uri, "mps_experiments")[sweep_id].info.status == "RUNNING"
        code, out, err = sweep.finish()
        assert (code, err) == (0, ""), out
    assert parents(sweep.uri)[sweep_id] == ("FINISHED", "3,4,5", [3.0])


def test_a_sweep_that_was_killed_is_not_under_way(tmp_path: Path) -> None:
    with standing_still(tmp_path) as sweep:
        sweep.runner.kill()
        sweep.runner.communicate()
        synced = sweep.sync()
    assert (synced.returncode, synced.stderr) == (0, "")
    assert synced.stdout == "logged 0 records; already in MLflow: 1\n"
    assert list(parents(sweep.uri).values()) == [("KILLED", "3", [1.0])]


@pytest.mark.parametrize("tracking", [True, False])
def test_what_becomes_of_a_sweep_under_way_without_mlflow(
    tmp_path: Path, into: list[str], capsys: pytest.CaptureFixture[str], tracking: bool
) -> None:
    cell = replace(ONE, config=ONE.config | {"tracking": {"enabled": tracking}})
    folder = write_sweep(tmp_path / "sweep", cell, status="RUNNING")
    what = "and logs its runs itself" if tracking else "without MLflow; log it once it has ended"
    with writing_in(folder):
        assert main([str(folder), *into]) == 0
    assert capsys.readouterr().out.splitlines()[0] == f"{folder}: its sweep is under way {what}"


def test_a_sweep_without_a_record_yet_is_under_way_and_an_earlier_one_of_its_folder_is_logged(
    tmp_path: Path, into: list[str], runs: Callable[[], dict[str, Run]], capsys: pytest.CaptureFixture[str]
) -> None:
    said = f"{tmp_path}: its sweep is under way and logs its runs itself\n"
    write_summary(tmp_path / "sweep.json", "later", "RUNNING")
    with writing_in(tmp_path):
        assert main([str(tmp_path), *into]) == 0
        assert capsys.readouterr().out == f"{said}logged 0 records; already in MLflow: 0\n"
        write_summary(tmp_path / "sweep.1.json", "sweep", "FINISHED")
        write_measurement(ONE, tmp_path / "one" / FILE_NAME)
        assert main([str(tmp_path), *into]) == 0
    assert capsys.readouterr().out == f"{said}logged 1 records; already in MLflow: 0\n"
    assert {name: run.info.status for name, run in runs().items()} == {"sweep": "FINISHED", "one": "FINISHED"}


def test_a_sync_that_hangs_is_not_waited_for_longer_than_the_deadline_and_other_sweeps_are_logged(
    tmp_path: Path, into: list[str], runs: Callable[[], dict[str, Run]], capsys: pytest.CaptureFixture[str]
) -> None:
    config = ONE.config | {"tracking": {"timeout_s": 2.0}}
    folder = write_sweep(tmp_path / "a", replace(ONE, config=config))
    write_sweep(tmp_path / "b", replace(TWO, sweep_id="another"))
    with held("alone_in", folder, 0.0):
        assert main([str(tmp_path), *into]) == 1
    assert capsys.readouterr() == (
        "",
        f"mps_experiments: {folder} has been in use by another process for 2 s (tracking.timeout_s); "
        "once the other sync has ended, call this again\n",
    )
    assert set(runs()) == {"another", "two"}
    assert main([str(tmp_path), *into]) == 0
    assert set(runs()) == {"another", "two", "sweep", "one"}


def test_a_search_logged_later_opens_with_its_decision_and_so_does_its_report(
    tmp_path: Path, into: list[str], runs: Callable[[], dict[str, Run]], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_sweep(tmp_path, ONE)
    summary = read_json(folder / "sweep.json") | {"decided": ["USE procs=1"]}
    (folder / "sweep.json").write_text(json.dumps(summary))
    assert main([str(folder), *into]) == 0
    parent = runs()["sweep"]
    assert "USE procs=1" in parent.data.tags["mlflow.note.content"]
    capsys.readouterr()
    assert report([parent.info.run_id, "--tracking-uri", into[1], "--out", str(tmp_path / "report")]) == 0
    assert capsys.readouterr().out.startswith("USE procs=1\n")


def test_two_sweeps_into_one_folder_have_a_parent_each(
    tmp_path: Path, into: list[str], runs: Callable[[], dict[str, Run]]
) -> None:
    for sweep_id, name in (("first", "sweep.1.json"), ("second", "sweep.json")):
        cell = make_measurement(f"cell of {sweep_id}", sweep_id=sweep_id)
        write_measurement(cell, tmp_path / "run" / FILE_NAME)  # the first one is kept aside
        write_summary(tmp_path / name, sweep_id, "FINISHED")
    assert main([str(tmp_path), *into]) == 0
    found = runs()
    for sweep_id in ("first", "second"):
        parent = found[f"cell of {sweep_id}"].data.tags["mlflow.parentRunId"]
        assert parent == found[sweep_id].info.run_id


@pytest.mark.parametrize("alone", [True, False])
def test_a_sweep_has_the_records_that_it_took_over_and_the_earlier_sweep_does_not_appear(
    tmp_path: Path, into: list[str], runs: Callable[[], dict[str, Run]], alone: bool
) -> None:
    write_sweep(tmp_path / "earlier", replace(ONE, sweep_id="an earlier one"))
    later = write_sweep(tmp_path / "later", *([] if alone else [TWO]), status=None)
    (later / "linked").mkdir(parents=True)
    (later / "linked" / FILE_NAME).hardlink_to(tmp_path / "earlier" / "one" / FILE_NAME)
    entry = {"name": "a", "record_id": "one", "folder": "linked", "resumed_from": "../earlier/one"}
    write_summary(later / "sweep.json", "sweep", "FINISHED", entry)
    for _ in range(2):
        assert main([str(later), *into]) == 0
        found = runs()
        assert set(found) == ({"sweep", "one"} if alone else {"sweep", "one", "two"})
        assert found["one"].data.tags["mlflow.parentRunId"] == found["sweep"].info.run_id
        shutil.rmtree(tmp_path / "earlier", ignore_errors=True)
    if not alone:
        assert found["two"].data.tags["ratio_partner"] == found["one"].info.run_id


@pytest.mark.parametrize("content", [None, "{", '{"sweep_id": "another", "cells": []}'])
def test_without_its_sweep_json_a_record_is_logged_as_a_run_on_its_own(
    tmp_path: Path, into: list[str], runs: Callable[[], dict[str, Run]], content: str | None
) -> None:
    write_sweep(tmp_path, ONE, status=None)
    if content is not None:
        (tmp_path / "sweep.json").write_text(content)
    assert main([str(tmp_path), *into]) == 0
    assert set(runs()) == {"one"}


def test_a_damaged_record_is_named_and_the_rest_is_logged(
    tmp_path: Path, into: list[str], runs: Callable[[], dict[str, Run]], capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = write_sweep(tmp_path, ONE) / "two" / FILE_NAME
    damaged.parent.mkdir()
    damaged.write_text("{")
    assert main([str(tmp_path), *into]) == 1
    assert str(damaged) in capsys.readouterr().err
    assert set(runs()) == {"sweep", "one"}


def test_records_that_its_sweep_names_and_that_are_gone_are_named(
    tmp_path: Path, into: list[str], runs: Callable[[], dict[str, Run]], capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = write_sweep(tmp_path / "sweep", ONE)
    gone = [{"name": f"mps=off procs={number}", "record_id": f"{number}"} for number in range(2, 8)]
    cells = (
        {"name": "mps=off procs=1", "record_id": "one"},
        {"name": "refused", "verdict": "REFUSED"},
        *gone,
    )
    write_summary(sweep / "sweep.json", "sweep", "FINISHED", *cells)
    assert main([str(tmp_path), *into]) == 1
    told = capsys.readouterr()
    assert told.out == "logged 1 records; already in MLflow: 0\n"
    names = "mps=off procs=2, mps=off procs=3, mps=off procs=4, mps=off procs=5, mps=off procs=6, ..."
    what = f"{sweep}: 6 of 8 runs of its sweep.json have no record that can be read: {names}"
    assert told.err == f"mps_experiments: {what}\n"
    assert set(runs()) == {"sweep", "one"}
    assert main([str(sweep / "one"), *into]) == 0, "of one run of it"
    aside = [make_measurement(each["record_id"], procs=int(each["record_id"])) for each in gone]
    write_sweep(tmp_path / "aside", *aside, status=None)
    assert main([str(sweep), str(tmp_path / "aside"), *into]) == 0, "the disk was full"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("http://127.0.0.1:9", "tracking.uri=http://127.0.0.1:9: no MLflow store answers there"),
        ("http://me:hunter2@127.0.0.1:9", "tracking.uri=http://***@127.0.0.1:9: a password in the address"),
        (None, "FOLDER={}: no measurement.json below it"),
    ],
)
def test_a_mistake_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], address: str | None, said: str
) -> None:
    if address is not None:
        write_sweep(tmp_path, ONE)
    assert main([str(tmp_path), *(["--tracking-uri", address] if address else [])]) == 2
    line = capsys.readouterr().err
    assert line.startswith(f"mps_experiments: {said.format(tmp_path)}")
    assert line.count("\n") == 1
    assert "hunter2" not in line
