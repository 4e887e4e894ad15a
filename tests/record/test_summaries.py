"""What sweep.json says, and that a damaged one says nothing."""

import json
from pathlib import Path

import pytest

from mps_experiments.record.measurement import FILE_NAME, read_measurement
from mps_experiments.record.summaries import (
    NAME,
    Summary,
    cut_off,
    decided_of,
    precision_of,
    read_summary,
    records_below,
    summaries_below,
    summary_of,
    write_summary,
)
from tests.sweep.test_lookup import MIDNIGHT, summary, written


def test_what_is_written_is_read_again_and_an_earlier_file_is_kept(tmp_path: Path) -> None:
    for number in (1, 2):
        cells = [{"name": "a", "record_id": "b", "folder": "c", "total_s": 1.5}]
        content = {"sweep_id": str(number), "command": "typed", "status": "KILLED", "cells": cells}
        write_summary(tmp_path, content | {"order": "blocks", "precision": 0.05}, keep_earlier=True)
    assert [each.sweep_id for each in summaries_below(tmp_path)] == ["1", "2"]
    found = read_summary(tmp_path / NAME)
    assert found is not None
    assert (found.at, found.command, found.is_sweep, found.precision) == (tmp_path, "typed", True, 0.05)
    assert [(cell.name, cell.folder, cell.resumed_from) for cell in found.cells] == [("a", "c", None)]
    assert summary_of(tmp_path / "cell" / "trial-0", "1") is not None
    assert summary_of(tmp_path / "cell", "3") is None


@pytest.mark.parametrize("content", ["{", "[]", "5", "{}", '{"cells": 1}', '{"cells": [5]}', "", "\x00"])
def test_what_is_no_summary_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / NAME).write_text(content)
    assert read_summary(tmp_path / NAME) is None
    assert list(summaries_below(tmp_path)) == []


def test_copies_do_not_count(tmp_path: Path) -> None:
    summary(tmp_path / "a", {"name": "original"})
    summary(tmp_path / "mlartifacts" / "x", {"name": "copy"})
    assert [found.cells[0].name for found in summaries_below(tmp_path)] == ["original"]


def test_each_record_comes_once_and_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    for folder, record_id in (("a", "one"), ("b", "two"), ("c", "one"), ("mlartifacts/d", "three")):
        written(tmp_path / folder, record_id)
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / FILE_NAME).write_text("{")
    problems: list[str] = []
    found = list(records_below(tmp_path, problems))
    assert [(path, record.record_id) for record, path in found] == [
        (tmp_path / "a" / FILE_NAME, "one"),
        (tmp_path / "b" / FILE_NAME, "two"),
    ]
    assert found[0][0] == read_measurement(tmp_path / "a" / FILE_NAME)
    assert len(problems) == 1
    assert str(tmp_path / "e" / FILE_NAME) in problems[0]


def test_a_sweep_began_with_the_first_run_that_it_did_itself(tmp_path: Path) -> None:
    written(tmp_path / "own", "own", 60)
    summary(
        tmp_path,
        {"name": "n", "record_id": "r", "resumed_from": "elsewhere", "folder": "own"},
        {"name": "gone", "folder": "gone"},
        {"name": "own", "folder": "own"},
    )
    (found,) = summaries_below(tmp_path)
    assert found.begun_at() == MIDNIGHT + 60


def test_the_precision_is_one_that_all_sweeps_had() -> None:
    one, other, none = (Summary(cells=(), precision=value) for value in (0.05, 0.02, 0.0))
    assert [precision_of(each) for each in ([one], [one, one], [one, other], [one, none], [])] == [
        0.05, 0.05, 0.0, 0.0, 0.0,
    ]  # fmt: skip


def test_a_decision_is_that_of_the_only_search() -> None:
    search, other = Summary(cells=(), decided=("USE procs=2", "runs: 4")), Summary(cells=())
    assert decided_of([search]) == decided_of([other, search]) == ("USE procs=2", "runs: 4")
    assert decided_of([search, search]) == decided_of([other]) == decided_of([]) == ()


def test_a_sweep_that_was_cut_off_is_said(tmp_path: Path) -> None:
    for status, said in (("KILLED", True), ("RUNNING", True), ("FINISHED", False), ("FAILED", False)):
        (tmp_path / NAME).write_text(json.dumps({"status": status, "cells": []}))
        assert bool(cut_off(str(tmp_path))) is said
    assert cut_off(str(tmp_path / "nowhere")) == ""
