"""What a sweep looks like in MLflow when it was logged later: its parent, how it ended, nothing twice."""

import json
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from mps_experiments.record import Measurement, write_measurement
from mps_experiments.sync import main
from tests.records import INVALID, interrupted, make_measurement

ONE = make_measurement("one", makespan_s=2.0)
TWO = make_measurement("two", procs=2, makespan_s=3.0)


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store; each test uses an experiment of its own in it."""
    return f"sqlite:///{tmp_path_factory.mktemp('store') / 'mlflow.db'}"


@pytest.fixture
def into(uri: str, request: pytest.FixtureRequest) -> list[str]:
    """The arguments that name the test's experiment."""
    return ["--tracking-uri", uri, "--experiment", request.node.name]


def write_sweep(folder: Path, *cells: Measurement, status: str | None = "FINISHED") -> Path:
    """A sweep's folder as the program leaves it; without a status, without sweep.json too."""
    for cell in cells:
        write_measurement(cell, folder / cell.record_id / "measurement.json")
    if status is not None:
        write_summary(folder / "sweep.json", cells[0].sweep_id, status)
    return folder


def write_summary(path: Path, sweep_id: str, status: str) -> None:
    summary = {"sweep_id": sweep_id, "command": "typed", "is_sweep": True, "status": status, "cells": []}
    path.write_text(json.dumps(summary))


def runs(uri: str, experiment_name: str) -> dict[str, Run]:
    """What MLflow shows: record id (or the sweep's id for a parent) -> run."""
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name(experiment_name)
    found = client.search_runs([experiment.experiment_id])
    by_id = {run.data.tags.get("record_id", run.data.tags["sweep_id"]): run for run in found}
    assert len(by_id) == len(found), "a run was logged twice"
    return by_id


def test_the_parent_has_the_command_and_the_tables_and_a_child_its_ratio(
    tmp_path: Path, into: list[str]
) -> None:
    assert main([str(write_sweep(tmp_path, ONE, TWO)), *into]) == 0
    found = runs(into[1], into[3])
    assert found["two"].data.tags["mlflow.parentRunId"] == found["sweep"].info.run_id
    assert found["two"].data.metrics["ratio"] == pytest.approx(1.5)
    assert found["sweep"].data.tags["command"] == "typed"
    assert "| 2.00 | 3.00, 3.00 | 1.50 |" in found["sweep"].data.tags["mlflow.note.content"]


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
    tmp_path: Path, into: list[str], status: str, cells: tuple[Measurement, ...], expected: str
) -> None:
    assert main([str(write_sweep(tmp_path, *cells, status=status)), *into]) == 0
    found = runs(into[1], into[3])
    assert found["sweep"].info.status == expected
    assert found["one"].info.status == "FINISHED"
    assert found[cells[-1].record_id].info.status == ("FINISHED" if len(cells) == 1 else expected)


def test_copies_of_a_record_count_once(tmp_path: Path, into: list[str]) -> None:
    write_sweep(tmp_path / "2026" / "sweep", ONE)
    write_measurement(ONE, tmp_path / "mlartifacts" / "x" / "artifacts" / "measurement.json")
    assert main([str(tmp_path), str(tmp_path), *into]) == 0
    found = runs(into[1], into[3])
    assert set(found) == {"sweep", "one"}
    assert found["sweep"].data.metrics["cells/valid"] == 1


def test_two_sweeps_into_one_folder_have_a_parent_each(tmp_path: Path, into: list[str]) -> None:
    for sweep_id, name in (("first", "sweep.1.json"), ("second", "sweep.json")):
        cell = make_measurement(f"cell of {sweep_id}", sweep_id=sweep_id)
        write_measurement(cell, tmp_path / "run" / "measurement.json")
        write_summary(tmp_path / name, sweep_id, "FINISHED")
    assert main([str(tmp_path), *into]) == 0
    found = runs(into[1], into[3])
    for sweep_id in ("first", "second"):
        parent = found[f"cell of {sweep_id}"].data.tags["mlflow.parentRunId"]
        assert parent == found[sweep_id].info.run_id


@pytest.mark.parametrize("content", [None, "{", "[]", '{"sweep_id": "another", "is_sweep": true}'])
def test_without_its_sweep_json_a_record_is_logged_as_a_run_on_its_own(
    tmp_path: Path, into: list[str], content: str | None
) -> None:
    write_sweep(tmp_path, ONE, status=None)
    if content is not None:
        (tmp_path / "sweep.json").write_text(content)
    assert main([str(tmp_path), *into]) == 0
    assert set(runs(into[1], into[3])) == {"one"}


def test_the_default_store_is_that_of_the_sweep_from_whatever_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    outputs = tmp_path / "outputs"
    cell = make_measurement("one", output_dir=outputs)
    assert main([str(write_sweep(outputs / "day", cell))]) == 0
    assert set(runs(f"sqlite:///{outputs / 'mlflow.db'}", "mps_experiments")) == {"sweep", "one"}
    assert list((tmp_path / "elsewhere").iterdir()) == []
