"""A record's place on disk, when there is room and when there is none."""

import errno
import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mps_experiments.errors import RecordError
from mps_experiments.keeping import keep, record_bytes, room_for_record, spare_room
from mps_experiments.plan import RunPaths
from mps_experiments.record import FILE_NAME, read_measurement, to_json
from tests.evidence_records import traced_run, with_telemetry
from tests.fakes.plans import attaching, run_plan
from tests.fakes.stores import fill, mounted
from tests.records import make_measurement


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path / "disk", "4m") as folder:
        yield folder


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The temporary folder."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.mark.parametrize(("procs", "times"), [(1, 2), (1, 50_000), (8, 2000)])
def test_the_room_is_enough_for_the_record(tmp_path: Path, procs: int, times: int) -> None:
    measurement = make_measurement("one", procs=procs, times=times, makespan_s=times * 9.0)
    plan = run_plan(tmp_path, *[attaching()] * procs, times=times)
    assert len(to_json(measurement)) < record_bytes(plan)


def test_the_readings_of_the_gpu_have_room(tmp_path: Path) -> None:
    """At an interval of 20 ms, 1,500 readings take 30 seconds, in which 300 iterations of 0.1 s are done."""
    gpu = {
        "power_w": 350.123,
        "sm_activity": 0.97123456789,
        "dram_activity": 0.251234567,
        "sm_clock_mhz": 1980,
    }
    measurement = with_telemetry(traced_run("one", procs=1), count=1500, **gpu)
    plan = run_plan(tmp_path, times=300)
    assert len(to_json(measurement)) < record_bytes(plan)
    assert record_bytes(replace(plan, telemetry_interval_s=0.0)) < 200_000


def test_a_run_is_refused_where_its_record_has_no_room(disk: Path) -> None:
    plan = run_plan(disk / "run", times=300_000)
    with pytest.raises(RecordError, match=r"no room for its record, up to .* MB \(No space left on device: "):
        room_for_record(plan, 0)


def test_a_run_is_refused_where_less_is_free_than_was_asked_for(disk: Path) -> None:
    plan = run_plan(disk / "run")
    with pytest.raises(RecordError, match=r"only 4 MB are free in .*, less than min_free_disk_mb=5"):
        room_for_record(plan, 5)
    room_for_record(plan, 4).give_back()


def test_a_run_is_refused_where_its_folder_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    plan = replace(run_plan(tmp_path / "run"), paths=RunPaths(folder=tmp_path / "file" / "run"))
    with pytest.raises(RecordError, match="Not a directory"):
        room_for_record(plan, 0)


def test_a_record_is_written_into_its_room_on_a_full_disk(disk: Path, elsewhere: Path) -> None:
    plan, measurement = run_plan(disk / "run"), make_measurement("one")
    with room_for_record(plan, 0) as room:
        fill(disk)
        assert keep(measurement, plan.paths.measurement, room) == plan.paths.measurement
    assert read_measurement(plan.paths.measurement) == measurement
    assert list(elsewhere.iterdir()) == []


def test_a_record_without_room_goes_to_the_temporary_folder(disk: Path, elsewhere: Path) -> None:
    measurement = make_measurement("one", times=1000)
    fill(disk)
    kept = keep(measurement, disk / "run" / FILE_NAME)
    assert kept == elsewhere / "mps_experiments-sweep" / "run" / FILE_NAME
    assert read_measurement(kept) == measurement
    assert kept.parents[1].stat().st_mode & 0o777 == 0o700


def test_a_record_that_can_be_nowhere_is_an_error_that_names_both_places(
    disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(disk))
    fill(disk)
    with pytest.raises(
        RecordError, match=r"run/measurement\.json cannot be written: No space .* nor .*sweep"
    ):
        keep(make_measurement("one", times=1000), disk / "run" / FILE_NAME)


def test_room_to_write_a_record_again_is_for_runs_with_files_that_may_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    traced = run_plan(tmp_path, trace={"iterations": 1})
    assert spare_room(run_plan(tmp_path)) is None
    spare = spare_room(traced)
    assert spare is not None
    assert spare.become(tmp_path / "record", b"x" * 1000)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    assert spare_room(traced) is None
