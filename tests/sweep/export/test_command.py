"""``python -m mps_experiments.export`` as a user calls it."""

import json
from pathlib import Path

import pytest

from mps_experiments.config.cells import parse
from mps_experiments.record.measurement import write_measurement
from mps_experiments.sweep.export.command import main
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


def test_the_command_that_is_told_runs_the_file_where_it_is(outputs: Path, mps_experiments: Command) -> None:
    done = mps_experiments(str(outputs), module="mps_experiments.export")
    name = "maskrcnn_resnet50_fpn-record-1"
    command = f"python -m mps_experiments --config-dir . experiment={name}"
    assert (done.returncode, done.stdout) == (
        0,
        f"wrote experiment/{name}.yaml; run it with:\n  {command}\n",
    )
    assert [cell.procs for cell in parse(command.split()[3:]).cells] == [1, 2]


def test_a_file_lies_where_hydra_looks_for_it(outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    too_long = f"experiment/{'n' * 251}.yaml"
    for wrong in ("mine.yaml", too_long):
        assert main([str(outputs), "-o", wrong]) == 2
        assert f"--output={wrong}: must be experiment/NAME.yaml" in capsys.readouterr().err
    assert main([str(outputs), "-o", f"experiment/{'n' * 250}.yaml"]) == 0
    capsys.readouterr()
    assert main([str(outputs), "-o", "shared/experiment/mine.yaml"]) == 0
    assert capsys.readouterr().out.endswith("--config-dir shared experiment=mine\n")


def test_a_dash_is_standard_output(outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(outputs / "procs=2"), "-o", "-"]) == 0
    assert capsys.readouterr().out.startswith("# @package _global_\n# Run it as DIR/experiment/maskrcnn_")
    assert [path.name for path in Path().iterdir()] == ["outputs"]


def test_a_file_that_is_there_stays_unless_it_is_to_be_replaced(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("experiment").mkdir()
    Path("experiment/mine.yaml").write_text("precious")
    assert main([str(outputs), "-o", "experiment/mine.yaml"]) == 2
    assert "--output=experiment/mine.yaml: is there already; --force replaces it" in capsys.readouterr().err
    assert Path("experiment/mine.yaml").read_text() == "precious"
    assert main([str(outputs), "-o", "experiment/mine.yaml", "force=true"]) == 0
    assert Path("experiment/mine.yaml").read_text().startswith("# @package")


def test_a_name_that_hydra_would_not_take_or_that_cannot_be_written_is_a_mistake(outputs: Path) -> None:
    Path("experiment/folder.yaml").mkdir(parents=True)
    names = ["mine.txt", "two words.yaml", ".yaml", "a=b.yaml", "1.yaml", "a.b.yaml"]
    codes = {
        name: main([str(outputs), "--force", "-o", f"experiment/{name}"])
        for name in [*names, "null.yaml", "folder.yaml"]
    }
    assert {name for name, code in codes.items() if code != 2} == set()
    assert [path.name for path in Path("experiment").iterdir()] == ["folder.yaml"]


def test_a_damaged_record_is_named_and_the_rest_is_written(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (outputs / "procs=1" / "measurement.json").write_text("{")
    assert main([str(outputs), "-o", "-"]) == 1
    captured = capsys.readouterr()
    assert "procs=1/measurement.json is not a record" in captured.err
    assert "procs: 2" in captured.out
    assert "MULTIRUN" not in captured.out
    assert main([str(outputs / "procs=1")]) == 2
    assert "no record of it can be read" in capsys.readouterr().err


def test_what_is_left_out_is_said(outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = outputs / "procs=1" / "measurement.json"
    tree = read_json(path)
    tree["config"] = {"procs": 1, "gone": 1}
    path.write_text(json.dumps(tree))
    assert main([str(path), "-o", "-"]) == 2
    assert main([str(path), "-o", "-", "--drop-unknown"]) == 0
    assert "left out, unknown to this version: gone" in capsys.readouterr().err


def test_of_a_sweep_that_was_cut_off_only_a_part_is_written_and_that_is_said(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (outputs / "sweep.json").write_text(json.dumps({"status": "KILLED", "cells": []}))
    assert main([str(outputs), "-o", "-"]) == 1
    assert "the sweep was cut off; only runs that were begun are here" in capsys.readouterr().err
