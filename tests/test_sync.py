"""Logging later what MLflow has missed, once each."""

from pathlib import Path

import pytest
from mlflow import MlflowClient

from mps_experiments.record import write_measurement
from mps_experiments.sync import main
from tests.records import make_measurement


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    """Two records of one sweep on disk, as a sweep without MLflow leaves them."""
    sweep = tmp_path / "outputs" / "sweep"
    for procs in (1, 2):
        measurement = make_measurement(f"record-{procs}", procs=procs, output_dir=tmp_path / "outputs")
        write_measurement(measurement, sweep / f"procs={procs}" / "measurement.json")
    (sweep / "sweep.json").write_text(
        f'{{"sweep_id": "{measurement.sweep_id}", "command": "typed", "status": "FINISHED", "cells": []}}'
    )
    return tmp_path / "outputs"


def statuses(uri: str) -> dict[str, str]:
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("mps_experiments")
    runs = client.search_runs([experiment.experiment_id])
    return {run.data.tags.get("record_id", "PARENT"): run.info.status for run in runs}


def histories(uri: str) -> dict[tuple[str, str], int]:
    """How many values each metric of each run has."""
    client = MlflowClient(tracking_uri=uri)
    runs = client.search_runs([client.get_experiment_by_name("mps_experiments").experiment_id])
    return {
        (run.info.run_id, key): len(client.get_metric_history(run.info.run_id, key))
        for run in runs
        for key in run.data.metrics
    }


def test_records_are_logged_once_however_often_it_is_called(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for said in ("logged 2 records; 0 were", "logged 0 records; 2 were"):
        assert main([str(outputs)]) == 0
        assert capsys.readouterr().out == f"{said} in MLflow already\n"
        assert statuses(f"sqlite:///{outputs / 'mlflow.db'}") == {
            "PARENT": "FINISHED",
            "record-1": "FINISHED",
            "record-2": "FINISHED",
        }
    counts = histories(f"sqlite:///{outputs / 'mlflow.db'}")
    series = {key for key in counts if key[1].startswith("by_iteration/")}
    assert {counts[key] for key in series} == {2}  # a point for each iteration
    assert {counts[key] for key in counts.keys() - series} == {1}


def test_another_store_may_be_named(outputs: Path, tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'other.db'}"
    assert main([str(outputs / "sweep"), "--tracking-uri", uri]) == 0
    assert set(statuses(uri)) == {"PARENT", "record-1", "record-2"}


def test_a_damaged_record_is_named_and_the_rest_is_logged(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = outputs / "sweep" / "procs=3" / "measurement.json"
    damaged.parent.mkdir()
    damaged.write_text("{")
    assert main([str(outputs)]) == 1
    assert str(damaged) in capsys.readouterr().err
    assert "record-2" in statuses(f"sqlite:///{outputs / 'mlflow.db'}")


def test_a_record_kept_aside_is_logged_too(outputs: Path) -> None:
    again = make_measurement("record-again", output_dir=outputs)
    write_measurement(again, outputs / "sweep" / "procs=1" / "measurement.json")
    assert main([str(outputs)]) == 0
    assert {"record-1", "record-again"} <= set(statuses(f"sqlite:///{outputs / 'mlflow.db'}"))


def test_a_folder_without_records_is_a_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    assert f"FOLDER={tmp_path}: no measurement.json below it" in capsys.readouterr().err


def test_an_address_that_does_not_answer_is_a_mistake(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(outputs), "--tracking-uri", "http://127.0.0.1:9"]) == 2
    assert "tracking.uri=http://127.0.0.1:9" in capsys.readouterr().err
