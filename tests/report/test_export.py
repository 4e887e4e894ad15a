"""The table of cells for other programs."""

import csv
import io
import json
from argparse import ArgumentTypeError
from pathlib import Path

import pytest

from mps_experiments.errors import ConfigError
from mps_experiments.report.export import KINDS, Export
from tests.fault_records import faulty_run
from tests.report_panels import full_sweep, subject_of


def written(kind: str, folder: Path) -> str:
    Export.parse(f"{kind}={folder / 'cells'}").write(subject_of(*full_sweep()))
    return (folder / "cells").read_text()


def test_all_kinds_have_the_same_rows_under_the_same_names(tmp_path: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(written("csv", tmp_path))))
    objects = json.loads(written("json", tmp_path))
    assert [{name: "" if v is None else str(v) for name, v in row.items()} for row in objects] == rows
    lines = [line for line in written("markdown", tmp_path).splitlines() if line.startswith("|")]
    assert len(lines) == len(rows) + 2 == 8
    assert lines[0].replace("\\", "").strip("| ").split(" | ") == list(rows[0])
    assert [(row["procs"], row["decision"]) for row in rows if row["decision"]] == [("4", "best")]
    assert {row["cause"] for row in rows} > {"", "time-sliced"}


def test_without_a_file_it_goes_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    Export.parse("csv").write(subject_of(*full_sweep()))
    assert capsys.readouterr().out.startswith("gpu,gpu_uuid,driver,host,model,")


@pytest.mark.parametrize("text", ["xml", "csv=", "", "CSV"])
def test_another_kind_is_refused_with_those_that_there_are(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match=", ".join(KINDS)):
        Export.parse(text)


def test_what_cannot_be_written_and_nothing_to_export_are_mistakes(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"^--export=csv={tmp_path}: cannot be written"):
        Export.parse(f"csv={tmp_path}").write(subject_of(*full_sweep()))
    with pytest.raises(ConfigError, match="no cell"):
        Export.parse("csv").write(subject_of(faulty_run("a")))
