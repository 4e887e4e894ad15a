"""``python -m mps_experiments.report``, as a process of its own and inside of this one."""

import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from mps_experiments.record.measurement import FILE_NAME, Measurement, write_measurement
from mps_experiments.sweep.report_command import main
from tests.conftest import Command
from tests.hostile_texts import HOSTILE
from tests.records import INVALID, make_measurement, read_json
from tests.report_panels import OTHER_MACHINE, arm, full_sweep

MODULE = "mps_experiments.report"


def sweep(folder: Path, *measurements: Measurement, command: str = "what was typed") -> Path:
    """A sweep's folder as the program leaves it."""
    for measurement in measurements:
        write_measurement(measurement, folder / measurement.record_id / FILE_NAME)
    (folder / "sweep.json").write_text(json.dumps({"sweep_id": "sweep", "command": command, "cells": []}))
    return folder


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def test_the_last_sweep_is_reported_into_its_own_folder(mps_experiments: Command, tmp_path: Path) -> None:
    sweep(tmp_path / "outputs" / "earlier", *arm("off", {1: 9.0}, record="earlier"))
    os.utime(tmp_path / "outputs" / "earlier" / "sweep.json", (1, 1))
    folder = sweep(tmp_path / "outputs" / "a day" / "a time", *full_sweep())
    done = mps_experiments(module=MODULE)
    assert (done.returncode, done.stderr) == (0, "")
    assert "MPS ON · maskrcnn_resnet50_fpn · seconds per process" in done.stdout
    assert (
        "maskrcnn_resnet50_fpn: 4 replicas under MPS: 307.7 images/s, 3.08 times one process" in done.stdout
    )
    assert done.stdout.endswith("report: outputs/a day/a time/report.html\n")
    assert "what was typed" in (folder / "report.html").read_text()
    assert (folder / "figures" / "ratio.png").is_file()


def test_the_report_of_a_search_opens_with_its_decision(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = sweep(tmp_path / "s", *full_sweep())
    summary = read_json(folder / "sweep.json") | {"decided": ["USE procs=2 mps=on: 9/s", "runs: 8 measured"]}
    (folder / "sweep.json").write_text(json.dumps(summary))
    assert run(folder) == 0
    said = capsys.readouterr().out
    assert said.startswith("USE procs=2 mps=on: 9/s\nruns: 8 measured\n")
    assert "times one process" not in said.partition("SECONDS PER PROCESS")[0]
    page = (folder / "report.md").read_text()
    assert 0 < page.index("USE procs=2 mps=on") < page.index("What the runs say without goal and limits")


def test_a_width_that_is_nobodys_breaks_no_table_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = sweep(tmp_path / "s", *full_sweep())
    monkeypatch.delenv("COLUMNS", raising=False)
    run(folder)
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) > 200
    monkeypatch.setenv("COLUMNS", "60")
    run(folder)
    assert capsys.readouterr().out == said
    monkeypatch.setenv("FORCE_COLOR", "1")  # as in many CI systems
    run(folder)
    coloured = capsys.readouterr().out
    assert coloured.startswith("\x1b[1m")
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == said


def test_the_precision_is_that_of_the_sweep_and_not_of_the_records(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [replace(run, config={"precision": 0.02}) for run in arm("on", {1: (1.0,) * 4, 2: (1.0, 1.2) * 2})]
    folder = sweep(tmp_path / "sweep", *runs)
    run(folder)
    assert "Not within" not in capsys.readouterr().out
    told = json.loads((folder / "sweep.json").read_text())
    (folder / "sweep.json").write_text(json.dumps(told | {"precision": 0.05}))
    run(folder)
    assert "Not within precision=0.05: mps=on: procs=2 over procs=1" in capsys.readouterr().out


def test_without_any_sweep_it_says_what_would_work(mps_experiments: Command) -> None:
    done = mps_experiments(module=MODULE)
    assert done.returncode == 2
    assert done.stderr.startswith("mps_experiments: output_dir=outputs: no sweep.json with a record below it")
    assert done.stderr.count("\n") == 1


def test_several_folders_become_one_report_of_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = sweep(tmp_path / "one", *full_sweep(), command="the first command")
    two = sweep(
        tmp_path / "two", *arm("on", {1: 2.0, 2: 2.2}, machine=OTHER_MACHINE), command="the second command"
    )
    assert run(one, two, "--output-dir", tmp_path / "out") == 0
    (page,) = (tmp_path / "out" / "reports").glob("*/report.html")
    text = page.read_text()
    assert "Machine B, NVIDIA A100" in text
    assert "the first command" in text
    assert "the second command" in text
    assert not (one / "report.html").exists()
    out = capsys.readouterr().out
    assert "MACHINE A: NVIDIA H100 " in out
    assert "MACHINE B: NVIDIA A100 " in out
    assert "\nmachine B: maskrcnn_resnet50_fpn: 2 replicas under MPS" in out


def test_reports_of_several_folders_in_the_same_second_do_not_replace_one_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("time.strftime", lambda *_: "now")
    one = sweep(tmp_path / "one", *full_sweep())
    pages = [tmp_path / "out" / "reports" / name / "report.html" for name in ("now", "now-1")]
    for number, page in enumerate(pages):
        other = sweep(
            tmp_path / f"{number}", *arm("on", {1: 2.0}, machine=OTHER_MACHINE), command=f"other {number}"
        )
        assert run(one, other, "--output-dir", tmp_path / "out") == 0
        assert capsys.readouterr().out.endswith(f"report: {page}\n")
    assert ["other 1" in page.read_text() for page in pages] == [False, True]


def test_a_record_and_a_folder_may_be_named_and_the_place_chosen(tmp_path: Path) -> None:
    folder = sweep(tmp_path / "s", *full_sweep())
    assert run(folder / "on-2" / FILE_NAME, folder / "on-1", "--out", tmp_path / "here") == 0
    assert "2 VALID, 0 INVALID, 0 SKIPPED." in (tmp_path / "here" / "report.html").read_text()


def test_a_damaged_record_is_named_and_the_rest_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = sweep(tmp_path / "s", *full_sweep())
    (folder / "on-4" / FILE_NAME).write_text('{"schema_version": 3')
    assert run(folder) == 1
    assert "on-4/measurement.json is not a record" in capsys.readouterr().err
    page = (folder / "report.html").read_text()
    assert "on-4/measurement.json is not a record" in page
    assert "5 VALID" in page


def test_a_record_that_contradicts_itself_is_named_and_the_rest_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = full_sweep()[-1]
    odd = replace(odd, record_id="odd", workers=odd.workers[:1])
    folder = sweep(tmp_path / "s", *full_sweep()[:-1], odd)
    assert run(folder) == 1
    assert "contradicts itself" in capsys.readouterr().err
    assert "5 VALID" in (folder / "report.html").read_text()


def test_of_nothing_but_damaged_records_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = sweep(tmp_path / "s", *full_sweep()[:1])
    (folder / "off-1" / FILE_NAME).write_text("{")
    assert run(folder) == 2
    assert not (folder / "report.html").exists()
    assert "measurement.json is not a record" in capsys.readouterr().err


def test_an_unknown_word_is_said_and_the_others_are_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = sweep(tmp_path / "s", *full_sweep())
    out = tmp_path / "report"
    assert run(folder, "nonsense", "--output-dir", tmp_path, "--out", out) == 2
    said = capsys.readouterr()
    assert "run=nonsense: no such file or folder" in said.err
    assert "report: " in said.out
    assert (out / "report.html").is_file()


def test_a_place_that_cannot_be_written_is_a_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = sweep(tmp_path / "s", *full_sweep())
    (tmp_path / "file").write_text("")
    assert run(folder, "--out", tmp_path / "file") == 2
    assert f"--out={tmp_path / 'file'}: cannot be written" in capsys.readouterr().err


def test_a_price_given_to_the_report_is_told_as_cost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = sweep(tmp_path, *arm("on", {1: 1.0, 2: 1.0}))
    assert run(folder, "cost.gpu_hour=3.6") == 0
    assert "50 per million images" in capsys.readouterr().out
    for wrong in ("-1", "much"):
        with pytest.raises(SystemExit, match="2"):
            run(folder, "--gpu-hour", wrong)
        assert f"'{wrong}': must be a number from 0 to 1000000" in capsys.readouterr().err


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:20]))
def test_a_record_of_somebody_else_cannot_move_the_cursor(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    hostile = replace(make_measurement("bad", verdict=replace(INVALID, reason=text)), name=text)
    assert run(sweep(tmp_path / "s", hostile)) == 0
    printed = capsys.readouterr().out.replace("\n", "")
    assert not [character for character in printed if ord(character) < 32 or 127 <= ord(character) < 160]


def with_cells(folder: Path, *measurements: Measurement) -> Path:
    """A sweep's folder whose sweep.json names its runs."""
    sweep(folder, *measurements)
    cells = [
        {"name": each.name, "record_id": each.record_id, "folder": each.record_id} for each in measurements
    ]
    content = {"sweep_id": "sweep", "command": "what was typed", "cells": cells}
    (folder / "sweep.json").write_text(json.dumps(content))
    return folder


def test_a_report_that_lacks_runs_does_not_replace_one_that_has_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = with_cells(tmp_path / "s", *full_sweep())
    assert run(folder, "--output-dir", tmp_path / "out") == 0
    whole = (folder / "report.html").read_bytes()
    (folder / "on-4" / FILE_NAME).write_text("{")
    assert run(folder, "--output-dir", tmp_path / "out") == 1
    assert "the sweep's own report stays as it is" in capsys.readouterr().err
    assert (folder / "report.html").read_bytes() == whole
    assert (folder / "figures" / "ratio.png").is_file()
    (page,) = (tmp_path / "out" / "reports").glob("*/report.html")
    assert "5 VALID" in page.read_text()


def test_the_table_of_cells_is_exported_instead_of_a_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = sweep(tmp_path / "s", *full_sweep())
    before = sorted(tmp_path.rglob("*"))
    assert run(folder, "--export", "csv") == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.startswith("gpu,gpu_uuid,driver,host,model,mps,procs,")
    assert len(rows) == len(full_sweep())
    assert sorted(tmp_path.rglob("*")) == before
    assert run(folder, f"export=json={tmp_path / 'cells.json'}") == 0
    assert (tmp_path / "cells.json").read_text().startswith("[")
    assert run(folder, "--export", f"json={folder}") == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert run(folder, "--export", "csv", "--out", tmp_path / "o") == 2
    said = capsys.readouterr()
    assert said.err.startswith(f"mps_experiments: --out={tmp_path / 'o'}: has no effect with --export;")
    assert (said.out, said.err.count("\n")) == ("", 1)
