"""The record on disk: whole or not there, never overwritten, never silently misread."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mps_experiments.errors import RecordError
from mps_experiments.record.measurement import (
    SCHEMA_VERSION,
    Measurement,
    find_measurements,
    read_measurement,
    write_measurement,
)
from tests.conftest import CHECKOUT, SRC, run_python
from tests.records import INVALID, SKIPPED, interrupted, make_measurement, read_json

WRITER = """
import os, resource, sys
from pathlib import Path
from mps_experiments.errors import RecordError
from mps_experiments.record.measurement import write_measurement
from tests.records import make_measurement
{trouble}
try:
    write_measurement(make_measurement("later"), Path(sys.argv[1]))
except RecordError as error:
    sys.stdout.write(str(error))
"""
FULL_DISK = "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))"
CRASH = "os.fsync = lambda _: os._exit(9)  # the machine stops before the content is safe"


VERSION_1 = CHECKOUT / "docs" / "results" / "2026-11-23-h100"


def find_measurements_of_version_1() -> list[Path]:
    found = sorted(VERSION_1.glob("mps=*.json"))
    assert found, "nothing would be tested"
    return found


def _of_version(version: int, content: bytes) -> bytes:
    changed = content.replace(b'"schema_version": 5', b'"schema_version": %d' % version)
    assert changed != content
    return changed


@pytest.mark.parametrize(
    "measurement",
    [
        make_measurement("a", mps="on", procs=3, times=5, options={"batch": 2, "names": ["a", "b"]}),
        make_measurement("b", verdict=SKIPPED),
        make_measurement("c", verdict=INVALID, contended=("process 9 was on the GPU",)),
        interrupted("d"),
    ],
    ids=["valid", "skipped", "invalid", "interrupted"],
)
def test_a_record_comes_back_as_it_was_written(tmp_path: Path, measurement: Measurement) -> None:
    path = tmp_path / "sweep" / "run" / "measurement.json"
    write_measurement(measurement, path)
    assert read_measurement(path) == measurement
    assert [each.name for each in path.parent.iterdir()] == ["measurement.json"]


def test_statistics_are_derived_and_only_a_valid_run_has_them() -> None:
    valid, invalid = make_measurement(makespan_s=1.5), make_measurement(verdict=INVALID)
    figures = valid.statistics()
    assert figures is not None
    assert figures.makespan_s == pytest.approx(1.5)
    assert valid.overhead_s() == pytest.approx(2.0)
    assert invalid.statistics() is None
    assert invalid.overhead_s() is None


@pytest.mark.parametrize(
    ("run", "has_figures", "tells"),
    [
        (make_measurement(), True, True),
        (make_measurement(verdict=INVALID), False, False),
        (replace(make_measurement(), cell=make_measurement().cell.moved(twin=1)), True, False),
        (replace(make_measurement(), cell=make_measurement().cell.moved(fault="kill")), False, False),
    ],
    ids=["valid", "invalid", "twin", "fault"],
)
def test_only_a_valid_ordinary_run_has_figures_and_a_twin_tells_nothing_of_its_cell(
    run: Measurement, has_figures: bool, tells: bool
) -> None:
    assert (run.has_figures, run.tells_of_its_cell) == (has_figures, tells)
    assert (run.statistics() is not None) is has_figures


def test_only_a_signal_to_the_runner_counts_as_an_interruption() -> None:
    assert interrupted("a").was_interrupted
    assert not make_measurement(verdict=INVALID).was_interrupted


def test_an_earlier_record_is_kept_aside_and_found_again(tmp_path: Path) -> None:
    for record_id in ("first", "second", "third"):
        write_measurement(make_measurement(record_id), tmp_path / "run" / "measurement.json")
    (tmp_path / "run" / "measurements.json").write_text("not a record")
    found = {path.name: read_measurement(path).record_id for path in find_measurements(tmp_path)}
    assert found == {
        "measurement.json": "third",
        "measurement.1.json": "first",
        "measurement.2.json": "second",
    }


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda content: content[: len(content) // 2], "is not a record"),
        (lambda _: b"", "is not a record"),
        (lambda _: b"\xff\xfe\x00", "is not a record"),
        (lambda _: b"[]", "is not a record"),
        (lambda content: _of_version(6, content), "is a record of version 6, not 5"),
        (lambda content: _of_version(0, content), "is a record of version 0, not 5"),
    ],
    ids=["half", "empty", "binary", "another shape", "a later version", "an earlier version"],
)
def test_a_damaged_record_is_refused(tmp_path: Path, damage: Callable[[bytes], bytes], expected: str) -> None:
    path = tmp_path / "measurement.json"
    write_measurement(make_measurement(), path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(RecordError, match=expected):
        read_measurement(path)


@pytest.mark.parametrize("path", find_measurements_of_version_1(), ids=lambda path: path.stem)
def test_a_record_of_version_1_still_reads_and_has_its_numbers(path: Path) -> None:
    """Measured on a real GPU before there was any evidence beside the samples."""
    on_disk, measurement = read_json(path), read_measurement(path)
    assert (on_disk["schema_version"], measurement.schema_version) == (1, 1)
    assert (measurement.cell.procs, measurement.cell.repeat) == (on_disk["cell"]["procs"], 0)
    assert (measurement.findings, measurement.missing) == ((), ())
    assert (measurement.activity, measurement.telemetry, measurement.parity) == (None, None, None)
    assert [worker.output for worker in measurement.workers] == [None] * measurement.cell.procs
    figures = measurement.statistics()
    assert figures is not None
    assert isinstance(measurement.cell.times, int)
    iterations = measurement.cell.procs * measurement.cell.times
    assert figures.throughput_per_s == pytest.approx(iterations / figures.makespan_s)
    assert measurement.overhead_s() == pytest.approx(on_disk["wall_s"] - figures.makespan_s)


def test_what_version_2_added_is_written(tmp_path: Path) -> None:
    path = tmp_path / "measurement.json"
    write_measurement(make_measurement(), path)
    added = {"findings", "missing", "activity", "telemetry", "parity"}
    on_disk = read_json(path)
    assert on_disk["schema_version"] == SCHEMA_VERSION == 5
    assert added <= on_disk.keys()
    assert all("output" in worker for worker in on_disk["workers"])


def test_what_version_4_added_says_in_earlier_records_what_their_runs_did(tmp_path: Path) -> None:
    path = tmp_path / "measurement.json"
    write_measurement(make_measurement(), path)
    on_disk = read_json(path)
    old = on_disk["cell"].pop("axes") | on_disk["cell"]
    on_disk["cell"] = {"pinned": True} | old
    for name in ("window", "window_s", "twin", "cpu_affinity"):
        del on_disk["cell"][name]
    for worker in on_disk["workers"]:
        for name in ("kept_ns", "beyond", "beyond_ns"):
            del worker["samples"][name]
    path.write_text(json.dumps(on_disk | {"schema_version": 3}))
    earlier = read_measurement(path)
    assert (earlier.cell.window, earlier.cell.window_s) == ("fixed", None)
    assert earlier.cell.axes["cpu_affinity"] == "auto"
    assert not earlier.cell.is_twin
    assert earlier.statistics() == make_measurement().statistics()


def test_a_window_that_was_kept_up_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "measurement.json"
    run = make_measurement(times="auto", window="kept", window_s=2.0, procs=2)
    first, second = run.workers
    assert first.samples is not None
    kept = replace(first, samples=replace(first.samples, kept_ns=(100_000_000,) * 3))
    write_measurement(replace(run, workers=(kept, second)), path)
    back = read_measurement(path)
    assert (back.cell.times, back.cell.window_s) == ("auto", 2.0)
    assert back.workers[0].samples == kept.samples
    figures = back.statistics()
    assert figures is not None
    assert figures.throughput_per_s == pytest.approx(20.0)
    assert figures.latencies.count == 20


def test_a_missing_record_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="No such file"):
        read_measurement(tmp_path / "measurement.json")


def test_a_folder_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RecordError, match="cannot be written"):
        write_measurement(make_measurement(), tmp_path / "file" / "measurement.json")


def test_on_a_full_disk_the_earlier_record_stays_and_no_half_written_file(tmp_path: Path) -> None:
    path = tmp_path / "measurement.json"
    write_measurement(make_measurement("earlier"), path)
    done = _write_later(path, FULL_DISK)
    assert (done.returncode, done.stdout) == (0, f"{path} cannot be written: File too large"), done.stderr
    assert read_measurement(path).record_id == "earlier"
    assert [each.name for each in tmp_path.iterdir()] == ["measurement.json"]


def test_a_writer_that_dies_before_the_end_leaves_the_earlier_record(tmp_path: Path) -> None:
    path = tmp_path / "measurement.json"
    write_measurement(make_measurement("earlier"), path)
    assert _write_later(path, CRASH).returncode == 9
    assert read_measurement(path).record_id == "earlier"
    assert find_measurements(tmp_path) == [path]


def _write_later(path: Path, trouble: str) -> subprocess.CompletedProcess[str]:
    return run_python("-c", WRITER.format(trouble=trouble), path, path=(SRC, CHECKOUT))


def test_an_earlier_record_tells_what_its_sweep_varied_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "measurement.json"
    overrides = ("repeat=1", "mps=off", "procs=1", "seed=3", "tracking=none")
    run = replace(make_measurement(repeat=1), overrides=overrides)
    write_measurement(replace(run, name=f"{run.name} repeat=1 seed=3 twin", schema_version=4), path)
    earlier = read_measurement(path)
    assert earlier.varied == ("repeat=1", "seed=3")
    assert earlier.cell_name == "mps=off procs=1 times=2 seed=3"


@pytest.mark.parametrize(
    ("axis", "value"),
    [("procs", "two"), ("procs", True), ("times", "many"), ("options", [1]), ("repeat", None)],
)
def test_a_coordinate_of_another_type_is_refused_by_name(tmp_path: Path, axis: str, value: object) -> None:
    path = tmp_path / "measurement.json"
    write_measurement(make_measurement(), path)
    on_disk = read_json(path)
    on_disk["cell"]["axes"][axis] = value
    path.write_text(json.dumps(on_disk))
    with pytest.raises(RecordError, match=f"{axis}="):
        read_measurement(path)
