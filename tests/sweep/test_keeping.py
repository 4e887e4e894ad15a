"""A record's place on disk, when there is room and when there is none."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mps_experiments.errors import RecordError
from mps_experiments.record.measurement import FILE_NAME, read_measurement
from mps_experiments.sweep.keeping import check_room, keep
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


def test_a_run_is_refused_where_less_is_free_than_was_asked_for(disk: Path) -> None:
    check_room(disk / "run", 4)
    assert (disk / "run").is_dir()
    with pytest.raises(RecordError, match=r"only 4 MB are free in .*, less than min_free_disk_mb=5"):
        check_room(disk / "run", 5)


def test_a_run_is_refused_where_its_folder_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RecordError, match="Not a directory"):
        check_room(tmp_path / "file" / "run", 0)


def test_a_record_is_in_its_place_where_there_is_room(disk: Path, elsewhere: Path) -> None:
    measurement = make_measurement("one")
    assert keep(measurement, disk / "run" / FILE_NAME) == disk / "run" / FILE_NAME
    assert read_measurement(disk / "run" / FILE_NAME) == measurement
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
