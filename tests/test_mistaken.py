"""Archives, renamed records and other things given for runs: what to do instead, and nothing written."""

import bz2
import gzip
import lzma
import shlex
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from mps_experiments.errors import ConfigError
from mps_experiments.lookup import find_runs
from mps_experiments.mistaken import archive_hint, folder_hint
from mps_experiments.record import to_json, write_measurement
from mps_experiments.report.__main__ import main
from mps_experiments.sync import main as sync
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
        ("records.tar.gz", "w:gz"),
        ("records.tgz", "w:gz"),
        ("my records.tar.bz2", "w:bz2"),
        ("records.zip", "zip"),
        ("unnamed", "w:xz"),
    ],
)
def test_an_archive_is_named_with_the_command_that_unpacks_it(
    here: Path, capsys: pytest.CaptureFixture[str], name: str, mode: str
) -> None:
    packed(name, mode)
    before = sorted(here.rglob("*"))
    for command in (main, sync):
        assert command([name]) == 2
    assert sorted(here.rglob("*")) == before
    report, _ = lines = capsys.readouterr().err.splitlines()
    assert all(" archive; unpack it first, with: mkdir " in line for line in lines)
    typed, _, folder = report.partition("with: ")[2].rpartition(", and give ")
    for step in typed.split(" && "):
        subprocess.run(shlex.split(step), check=True)
    found = find_runs(shlex.split(folder), tracking_uri=None, output_dir=Path("outputs"))
    assert [run.measurement.record_id for run in found.runs] == [make_measurement().record_id]


@pytest.mark.parametrize(
    ("content", "command"),
    [
        (gzip.compress(RECORD), "gzip -dk"),
        (lzma.compress(RECORD), "xz -dk"),
        (bz2.compress(RECORD), "bzip2 -dk"),
    ],
)
def test_a_compressed_record_is_named(content: bytes, command: str) -> None:
    Path("m.json.x").write_bytes(content)
    assert archive_hint(Path("m.json.x")) == (
        f"is compressed; unpack it first, with: {command} m.json.x, and give what comes out"
    )


@pytest.mark.parametrize("mode", ["w:gz", "w:xz", "w:bz2", "w"])
def test_an_archive_that_was_cut_off_is_no_traceback(capsys: pytest.CaptureFixture[str], mode: str) -> None:
    whole = packed("records.tar.x", mode).read_bytes()
    for size in (1, 3, 10, 20, len(whole) // 2, len(whole) - 5):
        Path("records.tar.x").write_bytes(whole[:size])
        assert main(["records.tar.x"]) in (1, 2)
        assert capsys.readouterr().err.count("\n") == 1


def test_records_of_other_names_are_read_as_files_and_pointed_to_in_a_folder(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path("results/packing")
    folder.mkdir(parents=True)
    for procs in (1, 2):
        measurement = make_measurement(f"record-{procs}", procs=procs)
        (folder / f"mps=on,procs={procs}.json").write_bytes(to_json(measurement))
    (folder / "cell_overhead.json").write_text('{"a": 1}')
    assert main(["results"]) == 2
    assert capsys.readouterr().err == (
        "mps_experiments: run=results: no measurement.json below it; 2 records have other names, such as "
        "mps=on,procs=1.json: give them as files, results/packing/*.json\n"
    )
    assert not Path("outputs").exists()
    assert main([*map(str, sorted(folder.glob("mps*.json"))), "--no-mlflow"]) == 0
    assert len(list(Path("outputs/reports").rglob("report.html"))) == 1


def test_a_folder_of_archives_points_to_one() -> None:
    Path("results").mkdir()
    packed("results/records.tar.xz", "w:xz")
    assert folder_hint(Path("results")) == (
        "records.tar.xz is a tar archive; unpack it first, with: mkdir records && "
        "tar -xf results/records.tar.xz -C records, and give records"
    )


def test_a_folder_without_any_record_says_what_would_work(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "empty").mkdir()
    (here / "empty" / "notes.json").write_text("{}")
    assert main(["empty", "--out", "new"]) == 2
    assert capsys.readouterr().err == (
        "mps_experiments: run=empty: no measurement.json below it; give a run's or a sweep's folder, "
        "a measurement.json, an MLflow run id or experiment\n"
    )
    assert sorted(path.name for path in here.iterdir()) == ["empty"]


@pytest.mark.parametrize("content", [b"", b"{}", b"<html>", RECORD[:-100], b"\xff\xd8\xff"])
def test_a_file_that_is_no_record_is_told_and_nothing_is_written(
    here: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    Path("x.json").write_bytes(content)
    assert main(["x.json", "--out", "new"]) == 1
    said = capsys.readouterr()
    assert said.err.startswith("mps_experiments: x.json is not a record of version 4: ")
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert sorted(path.name for path in here.iterdir()) == ["x.json"]


def test_the_summary_of_a_sweep_is_told_from_a_record() -> None:
    Path("sweep.json").write_text('{"cells": [], "sweep_id": "s"}')
    found = find_runs(["sweep.json"], tracking_uri=None, output_dir=Path("outputs"))
    assert found.problems[0].endswith("; sweep.json is a sweep's: give its folder")


def test_a_single_record_under_any_name_has_a_report() -> None:
    Path("renamed.json").write_bytes(RECORD)
    assert main(["renamed.json", "--out", "new", "--no-mlflow"]) == 0
    assert Path("new/report.html").is_file()


def test_an_archive_beside_runs_refuses_them_not() -> None:
    packed("records.zip", "zip")
    assert main(["records.zip", "source", "--out", "new", "--no-mlflow"]) == 2
    assert Path("new/report.html").is_file()
    with pytest.raises(ConfigError, match="is a zip archive"):
        find_runs(["records.zip"], tracking_uri=None, output_dir=Path("outputs"))
