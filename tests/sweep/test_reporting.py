"""The report of a sweep from what it left on disk."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mps_experiments.analysis.runs import condensed
from mps_experiments.record.measurement import Measurement, write_measurement
from mps_experiments.record.samples import WorkerSamples
from mps_experiments.report.writing import write_report
from mps_experiments.sweep.reporting import answer_lines, commands_of, sound_runs, sweep_report
from tests.records import INVALID, make_measurement
from tests.report_panels import OTHER_MACHINE, arm, full_sweep, subject_of


def stored(folder: Path, *measurements: Measurement) -> tuple[list[Measurement], dict[str, Path]]:
    """What a sweep keeps of its runs in memory, and where their records are."""
    for measurement in measurements:
        write_measurement(measurement, folder / measurement.record_id / "measurement.json")
    kept = [condensed(measurement) for measurement in measurements]
    return list(kept), {m.record_id: folder / m.record_id for m in measurements}


def test_the_report_of_a_sweep_is_written_into_its_folder(tmp_path: Path) -> None:
    kept, places = stored(tmp_path, *full_sweep())
    report = sweep_report(kept, places, tmp_path, "what was typed")
    page = (tmp_path / "report.html").read_text()
    assert "what was typed" in page
    assert [path.name for path in report.files[:2]] == ["report.html", "report.md"]
    assert "report.html among the artifacts" in report.description
    assert "MPS ON" in report.tables
    (answer,) = report.answers
    assert answer.startswith(
        "maskrcnn_resnet50_fpn: 4 replicas under MPS: 307.7 images/s, 3.08 times one process"
    )


def test_a_record_that_was_taken_over_has_the_name_of_this_sweep(tmp_path: Path) -> None:
    kept, places = stored(tmp_path, *full_sweep(), make_measurement("bad", verdict=INVALID))
    renamed = [replace(m, name=f"renamed {m.name}") for m in kept]
    sweep_report(renamed, places, tmp_path, "")
    assert "renamed mps=off procs=1 times=2: INVALID" in (tmp_path / "report.html").read_text()


def test_without_a_folder_nothing_is_written(tmp_path: Path) -> None:
    kept, places = stored(tmp_path, *full_sweep())
    before = sorted(tmp_path.rglob("*"))
    report = sweep_report(kept, places, None, "")
    assert report.files == ()
    assert "report.html" not in report.description
    assert report.answers
    assert sorted(tmp_path.rglob("*")) == before


def test_a_report_that_cannot_be_written_costs_only_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept, places = stored(tmp_path, *full_sweep())
    (tmp_path / "figures").write_text("in the way")
    report = sweep_report(kept, places, tmp_path, "")
    assert "MPS ON" in report.tables
    assert report.description.startswith("```\n")
    assert report.files == ()
    assert "the report could not be made (FileExistsError" in capsys.readouterr().err


def test_a_sweep_of_failures_has_a_report(tmp_path: Path) -> None:
    kept, places = stored(tmp_path, make_measurement("bad", verdict=INVALID))
    report = sweep_report(kept, places, tmp_path, "")
    assert "worker 1 was killed by SIGKILL" in (tmp_path / "report.html").read_text()
    assert report.answers[0].endswith("add mps=on,off for the other half of the answer.")


def test_several_machines_are_told_apart_in_the_answers() -> None:
    runs = [*arm("on", {1: 1.0}), *arm("on", {1: 1.0}, machine=OTHER_MACHINE, record="other")]
    starts = [line.partition(" Nothing ")[0] for line in answer_lines(subject_of(*runs))]
    assert starts == [f"machine {name}: maskrcnn_resnet50_fpn:" for name in ("A", "B")]


def damaged(run: Measurement, **changed: Any) -> Measurement:
    return replace(run, record_id="damaged", **changed)


def without_time(run: Measurement) -> Measurement:
    """The run, its iterations without any length."""
    samples = WorkerSamples(rank=0, start_ns=0, latencies_ns=(0, 0))
    return damaged(run, workers=tuple(replace(each, samples=samples) for each in run.workers))


@pytest.mark.parametrize("kind", ["too few traced", "without time"])
def test_a_record_that_contradicts_itself_is_named_and_the_others_stay(kind: str, tmp_path: Path) -> None:
    good = full_sweep()
    two = next(run for run in good if run.record_id == "on-2")
    assert two.activity is not None
    bad = {
        "too few traced": damaged(two, activity=replace(two.activity, workers=two.activity.workers[:1])),
        "without time": without_time(two),
    }[kind]
    runs, problems = sound_runs([(run, None) for run in (*good, bad)])
    assert [run.measurement.record_id for run in runs] == [run.record_id for run in good]
    (problem,) = problems
    assert problem.startswith("mps=on procs=2 times=100 (None): the record contradicts itself (")
    write_report(subject_of(*(run.measurement for run in runs)), tmp_path)


def summarised(folder: Path, sweep_id: str, command: str, name: str = "sweep.json") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps({"sweep_id": sweep_id, "command": command, "cells": []}))


def test_the_commands_are_those_of_the_sweeps_of_the_runs(tmp_path: Path) -> None:
    summarised(tmp_path, "first", "typed first")
    summarised(tmp_path, "second", "typed second", "sweep.1.json")
    summarised(tmp_path, "other", "typed otherwise", "sweep.2.json")
    (tmp_path / "sweep.3.json").write_text("{")
    (tmp_path / "sweep.4.json").write_text("[]")
    runs: list[tuple[Measurement, Path | None]] = [
        (make_measurement("a", sweep_id="first"), tmp_path / "cell"),
        (make_measurement("b", sweep_id="second"), tmp_path / "cell" / "trial-0"),
        (make_measurement("c", sweep_id="second"), tmp_path / "cell"),
        (make_measurement("d", sweep_id="other"), None),
    ]
    assert commands_of(runs) == ["typed first", "typed second"]
