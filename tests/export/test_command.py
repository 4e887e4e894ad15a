"""``python -m mps_experiments.export`` as a user calls it."""

import json
from pathlib import Path

import pytest

from mps_experiments.composition import parse
from mps_experiments.export.command import main
from mps_experiments.record import write_measurement
from tests.conftest import Command
from tests.records import make_measurement, read_json


@pytest.fixture
def outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two runs of one sweep."""
    monkeypatch.chdir(tmp_path)
    for procs in (1, 2):
        folder = tmp_path / "outputs" / f"procs={procs}"
        write_measurement(make_measurement(f"record-{procs}", procs=procs), folder / "measurement.json")
    return tmp_path / "outputs"


def test_the_file_is_named_for_its_content_and_the_command_is_told(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(outputs)]) == 0
    name = "maskrcnn_resnet50_fpn-off-procs1-2-times2"
    assert Path(f"{name}.yaml").is_file()
    assert capsys.readouterr().out == (
        f"wrote {name}.yaml; move it to conf/experiment/ and run it with: "
        f"python -m mps_experiments experiment={name}\n"
    )


def test_in_a_folder_called_experiment_it_runs_where_it_is(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (outputs.parent / "experiment").mkdir()
    assert main([str(outputs), "-o", "experiment/mine.yaml"]) == 0
    assert capsys.readouterr().out.endswith(
        f"mps_experiments --config-dir {outputs.parent} experiment=mine\n"
    )
    assert [cell.procs for cell in parse(["--config-dir", ".", "experiment=mine"]).cells] == [1, 2]


def test_a_dash_is_standard_output(outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(outputs / "procs=2"), "-o", "-"]) == 0
    assert capsys.readouterr().out.startswith("# @package _global_\n# python -m mps_experiments experiment=")
    assert list(Path().glob("*.yaml")) == []


def test_a_file_that_is_there_stays_unless_it_is_to_be_replaced(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("mine.yaml").write_text("precious")
    assert main([str(outputs), "-o", "mine.yaml"]) == 2
    assert "--output=mine.yaml: is there already; --force replaces it" in capsys.readouterr().err
    assert Path("mine.yaml").read_text() == "precious"
    assert main([str(outputs), "-o", "mine.yaml", "--force"]) == 0
    assert Path("mine.yaml").read_text().startswith("# @package")


@pytest.mark.parametrize("name", ["mine.txt", "two words.yaml", ".yaml", "a=b.yaml", "nowhere/mine.yaml"])
def test_a_file_that_hydra_would_not_find_or_take_is_a_mistake(
    outputs: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(outputs), "-o", name]) == 2
    assert f"--output={name}" in capsys.readouterr().err


def test_a_damaged_record_is_named_and_the_rest_is_written(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (outputs / "procs=1" / "measurement.json").write_text("{")
    assert main([str(outputs), "-o", "-"]) == 1
    captured = capsys.readouterr()
    assert "procs=1/measurement.json is not a record" in captured.err
    assert "procs: 2" in captured.out
    assert "MULTIRUN" not in captured.out


def test_a_folder_with_damaged_records_only_is_a_mistake(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (outputs / "procs=1" / "measurement.json").write_text("{")
    assert main([str(outputs / "procs=1")]) == 2
    assert "no record of it can be read" in capsys.readouterr().err


def test_it_is_a_command_with_help(mps_experiments: Command) -> None:
    done = mps_experiments("--help", module="mps_experiments.export")
    assert done.returncode == 0
    assert all(
        flag in done.stdout for flag in ("--tracking-uri", "--output-dir", "--force", "--drop-unknown")
    )


@pytest.mark.parametrize("name", ["packing.yaml", "1.yaml", "null.yaml", "On.yaml", "a.b.yaml"])
def test_a_name_that_means_something_else_is_a_mistake(
    outputs: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(outputs), "-o", name]) == 2
    assert f"--output={name}" in capsys.readouterr().err
    assert not Path(name).exists()


def test_a_folder_is_not_replaced(outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.yaml").mkdir()
    assert main([str(outputs), "-o", "mine.yaml", "--force"]) == 2
    assert "is there and no plain file" in capsys.readouterr().err


def test_what_is_assumed_and_what_is_left_out_is_said(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = outputs / "procs=1" / "measurement.json"
    tree = read_json(path)
    tree["config"] = {"procs": 1, "gone": 1}
    path.write_text(json.dumps(tree))
    assert main([str(path), "-o", "-", "--drop-unknown"]) == 0
    err = capsys.readouterr().err
    assert "the record says nothing of " in err
    assert "left out, unknown to this version: gone" in err


def test_of_a_sweep_that_was_cut_off_only_a_part_is_written_and_that_is_said(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (outputs / "sweep.json").write_text(json.dumps({"status": "KILLED", "cells": []}))
    assert main([str(outputs), "-o", "-"]) == 1
    assert "the sweep was cut off; only cells that were begun are here" in capsys.readouterr().err
