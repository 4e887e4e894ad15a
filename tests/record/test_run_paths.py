"""What is left of an earlier run in a folder that a later one uses."""

from pathlib import Path

import pytest

from mps_experiments.errors import RecordError
from mps_experiments.record.measurement import FILE_NAME, has_files_of, read_measurement, write_measurement
from mps_experiments.record.run_paths import RunPaths, make_way
from tests.records import make_measurement

OWN = [
    "control.log",
    "newcomer.log",
    "server.log",
    "timeline.png",
    "trace.json.gz",
    "worker-0.log",
    "worker-11.log",
]
ASIDE = [
    "control.1.log",
    "newcomer.1.log",
    "server.1.log",
    "timeline.1.png",
    "trace.json.1.gz",
    "worker-0.1.log",
    "worker-11.1.log",
]
SOMEBODYS = ["measurements.json", "my-server.log", "trace.json.gz.1", "worker-1.log.txt", "worker-pool.log"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run's folder below its sweep's, with the files of a run and of somebody else."""
    path = tmp_path / "sweep" / "run"
    path.mkdir(parents=True)
    for name in (*OWN, *SOMEBODYS):
        (path / name).write_text("text")
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_files_of_a_run_are_known_by_their_names(folder: Path, tmp_path: Path) -> None:
    assert [path.name for path in RunPaths(folder=folder).beside_the_record()] == OWN
    assert RunPaths(folder=tmp_path / "nowhere").beside_the_record() == []


def test_the_files_of_an_earlier_run_get_a_number(folder: Path) -> None:
    for record_id in ("first", "second"):
        write_measurement(make_measurement(record_id), folder / FILE_NAME)
        make_way(folder, folder.parent)
    aside = ["measurement.1.json", "measurement.2.json", *ASIDE]
    assert names(folder) == sorted([*aside, *SOMEBODYS])
    assert read_measurement(folder / "measurement.2.json").record_id == "second"
    (folder / "worker-2.log").write_text("of a run that was killed")
    make_way(folder, folder.parent)
    assert names(folder) == sorted([*aside, "worker-2.1.log", *SOMEBODYS])
    assert RunPaths(folder=folder).beside_the_record() == []


def test_where_no_run_was_before_all_files_are_somebodys(folder: Path) -> None:
    (folder.parent / "sweep.json").write_text("the sweep's own")
    make_way(folder, folder.parent)
    assert names(folder) == sorted([*OWN, *SOMEBODYS])


def test_what_a_sweep_left_that_was_killed_in_its_first_run_gets_a_number(folder: Path) -> None:
    (folder.parent / "sweep.config.json").write_text("somebody's")
    make_way(folder, folder.parent)
    assert names(folder) == sorted([*OWN, *SOMEBODYS])
    (folder.parent / "sweep.1.json").write_text("an earlier sweep's")
    make_way(folder, folder.parent)
    assert names(folder) == sorted([*ASIDE, *SOMEBODYS])


def test_what_cannot_be_put_aside_is_one_line(folder: Path) -> None:
    write_measurement(make_measurement(), folder / FILE_NAME)
    (folder / "worker-1.log").mkdir()
    with pytest.raises(RecordError, match=f"the files of an earlier run in {folder} cannot be put aside: "):
        make_way(folder, folder.parent)


def test_files_are_a_records_while_it_is_the_last_or_lies_elsewhere_and_the_folder_has_no_other(
    folder: Path,
) -> None:
    assert has_files_of(folder, "elsewhere"), "the disk was full"
    write_measurement(make_measurement("earlier"), folder / FILE_NAME)
    assert has_files_of(folder, "earlier")
    make_way(folder, folder.parent)
    assert not has_files_of(folder, "earlier"), "a later run is under way, or was killed"
    assert has_files_of(folder, "elsewhere"), "the disk was full when the later run ended"
    write_measurement(make_measurement("later"), folder / FILE_NAME)
    assert [has_files_of(folder, record_id) for record_id in ("earlier", "later")] == [False, True]
