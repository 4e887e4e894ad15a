"""What sweep.json says, and that a damaged one says nothing."""

import json
from pathlib import Path
from typing import Any

import pytest

from mps_experiments.summaries import (
    NAME,
    cut_off,
    precision_of,
    read_summary,
    resumed_ids,
    started_at,
    summaries_below,
)
from tests.records import make_measurement
from tests.test_lookup import MIDNIGHT, summary, written


@pytest.mark.parametrize("content", ["{", "[]", "5", '{"cells": 1}', "", "\x00"])
def test_what_is_no_summary_is_empty(tmp_path: Path, content: str) -> None:
    (tmp_path / "sweep.json").write_text(content)
    assert read_summary(tmp_path / "sweep.json") == {}
    assert list(summaries_below(tmp_path)) == []


def test_entries_that_the_ledger_would_not_write_are_left_out(tmp_path: Path) -> None:
    good = {"name": "a", "record_id": "b", "resumed_from": "c"}
    cells = [good, 5, {"resumed_from": 1, "name": "a", "record_id": "b"}, {"resumed_from": "x"}]
    (tmp_path / "sweep.json").write_text(json.dumps({"cells": cells}))
    assert read_summary(tmp_path / "sweep.json")["cells"] == [good]
    assert resumed_ids(read_summary(tmp_path / "sweep.json")) == {"a": ("b", "c")}


def test_a_folder_that_was_used_again_has_several_and_copies_do_not_count(tmp_path: Path) -> None:
    for name in ("sweep.json", "sweep.1.json"):
        summary(tmp_path / "a", {"name": name}, name=name)
    summary(tmp_path / "mlartifacts" / "x", {"name": "copy"})
    assert [found["cells"][0]["name"] for found in summaries_below(tmp_path)] == [
        "sweep.1.json",
        "sweep.json",
    ]


def test_a_sweep_started_with_the_first_run_that_it_did_itself(tmp_path: Path) -> None:
    written(tmp_path / "own", make_measurement().record_id, 60)
    summary(
        tmp_path,
        {"name": "n", "record_id": "r", "resumed_from": "elsewhere", "folder": "own"},
        {"name": "gone", "folder": "gone"},
        {"name": "own", "folder": "own"},
    )
    assert started_at(tmp_path) == MIDNIGHT + 60


@pytest.mark.parametrize(
    ("summaries", "precision"),
    [
        ([{"precision": 0.05}], 0.05),
        ([{"precision": 0.05}] * 2, 0.05),
        ([{"precision": 0.05}, {"precision": 0.02}], 0.0),
        ([{"precision": 0.05}, {}], 0.0),
        ([{"precision": ["damaged"]}], 0.0),
        ([], 0.0),
    ],
)
def test_the_precision_is_one_that_all_sweeps_had(summaries: list[dict[str, Any]], precision: float) -> None:
    assert precision_of(*summaries) == precision


def test_a_sweep_that_was_cut_off_is_said(tmp_path: Path) -> None:
    for status, said in (("KILLED", True), ("RUNNING", True), ("FINISHED", False), ("FAILED", False)):
        (tmp_path / NAME).write_text(json.dumps({"status": status, "cells": []}))
        assert bool(cut_off(str(tmp_path))) is said
    assert cut_off(str(tmp_path / "nowhere")) == ""
    assert cut_off("an MLflow experiment") == ""
