"""Stored runs found by folder, file and MLflow run id."""

import json
import os
import shutil
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from mps_experiments.errors import ConfigError
from mps_experiments.record.measurement import (
    FILE_NAME,
    Measurement,
    to_json,
    write_measurement,
)
from mps_experiments.record.summaries import Found
from mps_experiments.sweep.lookup import find_runs, last_sweep
from mps_experiments.sweep.report_command import main as report
from mps_experiments.sweep.sync import main as sync
from tests.fakes.stores import new_store
from tests.records import make_measurement
from tests.tracking.test_stored import log

RECORD = to_json(make_measurement())
MIDNIGHT = 1_700_000_000.0


def written(folder: Path, record_id: str, later_s: float = 0.0) -> Measurement:
    measurement = replace(make_measurement(record_id), started_at=MIDNIGHT + later_s)
    write_measurement(measurement, folder / FILE_NAME)
    return measurement


def summary(folder: Path, *cells: dict[str, str], name: str = "sweep.json") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps({"sweep_id": "sweep", "cells": list(cells)}))


def find(folder: Path, *words: object) -> Found:
    return find_runs([str(word) for word in words], tracking_uri=None, output_dir=folder)


def ids(found: Found) -> list[str]:
    return [run.measurement.record_id for run in found.runs]


def test_a_folder_gives_what_lies_below_it_in_the_order_of_its_start_and_no_copies(tmp_path: Path) -> None:
    written(tmp_path / "a", "late", 60)
    written(tmp_path / "b" / "trial-0", "early")
    written(tmp_path / "mlartifacts" / "x" / "artifacts", "copy")
    found = find(tmp_path, tmp_path)
    assert [(run.measurement.record_id, run.folder) for run in found.runs] == [
        ("early", tmp_path / "b" / "trial-0"),
        ("late", tmp_path / "a"),
    ]
    assert found.problems == ()
    assert ids(find(tmp_path, tmp_path / "mlartifacts" / "x")) == ["copy"]


def test_a_file_is_one_run_and_words_that_overlap_give_each_run_once(tmp_path: Path) -> None:
    for number in range(3):
        written(tmp_path / str(number), str(number), number)
    assert ids(find(tmp_path, tmp_path / "2" / FILE_NAME)) == ["2"]
    assert ids(find(tmp_path, tmp_path / "2", tmp_path, tmp_path / "0" / FILE_NAME)) == ["0", "1", "2"]


def test_a_damaged_record_is_one_line_and_the_rest_is_found(tmp_path: Path) -> None:
    written(tmp_path / "good", "good")
    (tmp_path / FILE_NAME).write_text("{")
    found = find(tmp_path, tmp_path)
    assert ids(found) == ["good"]
    assert len(found.problems) == 1
    assert found.problems[0].startswith(str(tmp_path / FILE_NAME))


def taking_over(tmp_path: Path, resumed_from: str) -> Path:
    """A sweep that took over the record of an earlier one, both below one folder: that of the later."""
    outputs = tmp_path / "outputs"
    written(outputs / "day" / "earlier" / "cell", "earlier")
    later = outputs / "day" / "later"
    written(later / "own", "own", 60)
    summary(
        later,
        {"name": "its name", "record_id": "earlier", "folder": "linked", "resumed_from": resumed_from},
        {"name": "own", "record_id": "own", "folder": "own"},
    )
    return later


@pytest.mark.parametrize("told", ["../earlier/cell", "{}/outputs/day/earlier/cell", "day/earlier/cell"])
@pytest.mark.parametrize("moved", ["both", "sweep alone"])
def test_a_sweep_that_took_over_records_is_read_wherever_it_was_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str, moved: str
) -> None:
    """As it is written now, and as earlier versions did: absolute, or by hand in an archive."""
    later = taking_over(tmp_path, told.format(tmp_path))
    if moved == "sweep alone":
        (later / "linked").mkdir()
        (later / "linked" / FILE_NAME).hardlink_to(later.parent / "earlier" / "cell" / FILE_NAME)
        shutil.copytree(later, tmp_path / "new" / "later")
        (tmp_path / "outputs").rename(tmp_path / "gone")
        shutil.rmtree(tmp_path / "gone")
    else:
        (tmp_path / "outputs").rename(tmp_path / "new")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    (place,) = (tmp_path / "new").rglob("later")
    for word in (place, Path(os.path.relpath(place))):
        found = find(tmp_path, word)
        assert [run.measurement.name for run in found.runs] == ["its name", "mps=off procs=1 times=2"]
        assert found.problems == ()
        assert (found.runs[0].folder or tmp_path).name == ("cell" if moved == "both" else "linked")


def test_a_record_that_was_taken_over_may_come_with_a_later_word_and_is_named_where_it_is_nowhere(
    tmp_path: Path,
) -> None:
    later = taking_over(tmp_path, "../../nowhere/cell")
    lost = "its name: its record was taken over from ../../nowhere/cell, where it is not now"
    assert find(tmp_path, later).problems == (lost,)
    both = find(tmp_path, later, later.parent / "earlier")
    assert (both.problems, ids(both)) == ((), ["earlier", "own"])


def test_an_empty_folder_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"run={tmp_path}: no {FILE_NAME} below it; give a run's"):
        find(tmp_path, tmp_path)
    (tmp_path / "sweep.json").write_text('{"status": "RUNNING", "cells": []}')
    with pytest.raises(ConfigError, match="its sweep is under way, or was cut off in its first run"):
        find(tmp_path, tmp_path)


def test_a_run_of_the_default_store_and_one_on_disk_are_found_together(tmp_path: Path) -> None:
    uri = new_store(tmp_path / "mlflow.db")
    children = [make_measurement(f"child-{n}") for n in range(2)]
    parent = log(uri, "an experiment", tmp_path / "files", *children)
    written(tmp_path / "disk", "disk", 60)
    found = find(tmp_path, tmp_path / "disk", parent)
    assert set(ids(found)) == {"child-0", "child-1", "disk"}
    assert found.commands == ("typed",)
    with pytest.raises(ConfigError, match=f"run={'0' * 32}: .* not in MLflow at sqlite.*no such run"):
        find(tmp_path, "0" * 32)


@pytest.mark.parametrize("word", ["no/such/folder", "", "x" * 9999, "a\0b", "an experiment"])
def test_an_unknown_word_is_named_with_what_would_work(tmp_path: Path, word: str) -> None:
    with pytest.raises(ConfigError, match=r"no such file or folder; give .* or an MLflow run id"):
        find(tmp_path, word)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("uri", [None, "http://me:secret@host", "no address", "http://127.0.0.1:9"])
def test_a_store_that_cannot_be_asked_is_one_line_and_none_comes_to_be(
    tmp_path: Path, uri: str | None
) -> None:
    with pytest.raises(ConfigError) as caught:
        find_runs(["a" * 32], tracking_uri=uri, output_dir=tmp_path / "nowhere")
    assert "secret" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_the_last_sweep_is_the_one_whose_first_run_started_last_and_that_has_a_record(tmp_path: Path) -> None:
    for name, later_s in (("z-first", 0), ("a-second", 60)):
        written(tmp_path / name / "run", name, later_s)
        summary(tmp_path / name, {"name": "run", "record_id": name, "folder": "run"})
    written(tmp_path / "z-first" / "long after", "long", 999)
    summary(tmp_path / "mlartifacts" / "x", {"name": "a copy"})
    summary(tmp_path / "under way")
    assert last_sweep(tmp_path) == tmp_path / "a-second"


def test_a_sweep_that_only_took_over_counts_by_its_summary(tmp_path: Path) -> None:
    written(tmp_path / "done" / "run", "done")
    summary(tmp_path / "done", {"name": "run", "record_id": "done", "folder": "run"})
    summary(
        tmp_path / "again", {"name": "r", "record_id": "done", "resumed_from": "../done/run", "folder": "r"}
    )
    os.utime(tmp_path / "again" / "sweep.json", (MIDNIGHT + 60, MIDNIGHT + 60))
    assert last_sweep(tmp_path) == tmp_path / "again"


def test_where_nothing_was_measured_there_is_no_last_sweep(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no sweep.json with a record below it"):
        last_sweep(tmp_path / "nowhere")


def packed(name: str, mode: str) -> Path:
    """An archive with one record, as docs/results has them."""
    write_measurement(make_measurement(), Path("source/run") / FILE_NAME)
    if mode == "zip":
        with zipfile.ZipFile(name, "w") as archive:
            archive.write(f"source/run/{FILE_NAME}")
    else:
        with tarfile.open(name, mode) as tar:  # type: ignore[call-overload]
            tar.add("source")
    return Path(name)


@pytest.mark.parametrize(
    ("name", "mode"), [("a.tar", "w"), ("a.tar.xz", "w:xz"), ("a.tgz", "w:gz"), ("a.zip", "zip")]
)
def test_an_archive_is_named_with_what_to_do_and_nothing_is_written(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    mode: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    path = packed(name, mode)
    before = sorted(tmp_path.rglob("*"))
    for command in (report, sync):
        assert command([str(path)]) == 2
        assert f"={name}: is an archive; unpack it into a folder and give that\n" in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before
    shutil.rmtree("source")
    with pytest.raises(ConfigError, match="is an archive; unpack it"):
        find(tmp_path, tmp_path)


def test_records_of_other_names_are_pointed_to_in_a_folder_and_read_as_files(tmp_path: Path) -> None:
    for procs in (1, 2):
        record = to_json(make_measurement(f"record-{procs}", procs=procs))
        (tmp_path / f"mps=on,procs={procs}.json").write_bytes(record)
    (tmp_path / "cell_overhead.json").write_text('{"a": 1}')
    with pytest.raises(
        ConfigError, match=r"another name \(mps=on,procs=1\.json\): give such records as files"
    ):
        find(tmp_path, tmp_path)
    assert len(find(tmp_path, *tmp_path.glob("mps*.json")).runs) == 2


@pytest.mark.parametrize("content", [b"", b"{}", b"<html>", RECORD[:-100], b"\xff\xd8\xff", b"\x1f"])
def test_a_file_that_is_no_record_is_a_mistake(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(
        ConfigError, match=r"^run=.*x\.json: is not a record( of version 5)?: .*; give a run's"
    ):
        find(tmp_path, tmp_path / "x.json")


def test_the_summary_of_a_sweep_is_told_from_a_record(tmp_path: Path) -> None:
    summary(tmp_path)
    with pytest.raises(ConfigError, match=r"it is a sweep's: give its folder$"):
        find(tmp_path, tmp_path / "sweep.json")


def test_of_a_folder_whose_records_are_all_damaged_the_first_is_named(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / FILE_NAME).write_text("{")
    with pytest.raises(
        ConfigError, match=rf"no record of it can be read: such as {tmp_path}/a/.*; give another$"
    ):
        find(tmp_path, tmp_path)
    with pytest.raises(
        ConfigError, match=rf"^--stored={tmp_path}/a: no record of it can be read: {tmp_path}/a"
    ):
        find_runs([str(tmp_path / "a")], tracking_uri=None, output_dir=tmp_path, option="--stored")
