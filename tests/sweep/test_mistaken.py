"""Archives, renamed records and other things given for runs: what to do instead, and nothing written."""

import shlex
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from mps_experiments.record.measurement import SCHEMA_VERSION, to_json, write_measurement
from mps_experiments.sweep.lookup import find_runs
from mps_experiments.sweep.mistaken import archive_hint, folder_hint
from mps_experiments.sweep.report_command import main
from mps_experiments.sweep.sync import main as sync
from tests.records import make_measurement

RECORD = to_json(make_measurement())


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def packed(name: str, mode: str) -> Path:
    """An archive with one record, as docs/results has them."""
    write_measurement(make_measurement(), Path("source/run/measurement.json"))
    if mode == "zip":
        with zipfile.ZipFile(name, "w") as archive:
            archive.write("source/run/measurement.json")
    else:
        with tarfile.open(name, mode) as tar:  # type: ignore[call-overload]
            tar.add("source")
    return Path(name)


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("records.tar", "w"),
        ("records.tar.xz", "w:xz"),
        ("records.tgz", "w:gz"),
        ("my records.tar.bz2", "w:bz2"),
        ("records.zip", "zip"),
        ("source", "w:xz"),  # its folder is there already
    ],
)
def test_an_archive_is_named_with_the_command_that_unpacks_it(
    here: Path, capsys: pytest.CaptureFixture[str], name: str, mode: str
) -> None:
    path = packed(f"{name}.x" if name == "source" else name, mode)
    before = sorted(here.rglob("*"))
    for command in (main, sync):
        assert command([str(path)]) == 2
    assert sorted(here.rglob("*")) == before
    report, _ = lines = capsys.readouterr().err.splitlines()
    assert all(" is an archive; unpack it first, with: mkdir " in line for line in lines)
    typed, _, folder = report.partition("with: ")[2].rpartition(", and give ")
    for step in typed.split(" && "):
        subprocess.run(shlex.split(step), check=True)
    found = find_runs(shlex.split(folder), tracking_uri=None, output_dir=Path("outputs"))
    assert [run.measurement.record_id for run in found.runs] == [make_measurement().record_id]


def test_records_of_other_names_are_read_as_files_and_pointed_to_in_a_folder(
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = Path("results/packing")
    folder.mkdir(parents=True)
    for procs in (1, 2):
        measurement = make_measurement(f"record-{procs}", procs=procs)
        (folder / f"mps=on,procs={procs}.json").write_bytes(to_json(measurement))
    (folder / "cell_overhead.json").write_text('{"a": 1}')
    assert main(["results"]) == 2
    assert capsys.readouterr().err == (
        "mps_experiments: run=results: no measurement.json below it; a record has another name "
        "(mps=on,procs=1.json): give such records as files, results/packing/*.json\n"
    )
    assert not Path("outputs").exists()
    found = find_runs(list(map(str, folder.glob("mps*.json"))), tracking_uri=None, output_dir=Path("x"))
    assert len(found.runs) == 2


def test_a_folder_of_archives_points_to_one_and_any_other_to_nothing(here: Path) -> None:
    Path("results").mkdir()
    (here / "results" / "notes.json").write_text("{}")
    assert folder_hint(Path("results")) == ""
    packed("results/records.tar.xz", "w:xz")
    assert folder_hint(Path("results")).startswith("records.tar.xz is an archive; unpack it first, with: ")


@pytest.mark.parametrize("content", [b"", b"{}", b"<html>", RECORD[:-100], b"\xff\xd8\xff", b"\x1f"])
def test_a_file_that_is_no_record_is_one_problem(content: bytes) -> None:
    Path("x.json").write_bytes(content)
    found = find_runs(["x.json"], tracking_uri=None, output_dir=Path("outputs"))
    (problem,) = found.problems
    assert problem.startswith(f"x.json is not a record of version {SCHEMA_VERSION}: ")
    assert archive_hint(Path("x.json")) == ""


def test_the_summary_of_a_sweep_is_told_from_a_record() -> None:
    Path("sweep.json").write_text('{"cells": [], "sweep_id": "s"}')
    found = find_runs(["sweep.json"], tracking_uri=None, output_dir=Path("outputs"))
    assert found.problems[0].endswith("; sweep.json is a sweep's: give its folder")


def test_a_record_under_another_name_beside_an_archive_has_a_report() -> None:
    Path("renamed.json").write_bytes(RECORD)
    packed("records.zip", "zip")
    assert main(["records.zip", "renamed.json", "--out", "new"]) == 2
    assert Path("new/report.html").is_file()
