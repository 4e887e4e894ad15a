"""Which record of an earlier sweep stands for a run, and what is said where none does."""

from dataclasses import replace
from pathlib import Path

import pytest

from mps_experiments.record.measurement import FILE_NAME, Measurement, read_measurement, write_measurement
from mps_experiments.run.fingerprint import of_record
from mps_experiments.sweep.resume import EarlierRuns
from tests.records import INVALID, MACHINE, SKIPPED, make_measurement

WANTED = of_record(make_measurement())
MIDNIGHT = 1_700_000_000.0


def written(outputs: Path, name: str, measurement: Measurement, later_s: float = 0.0) -> Path:
    path = outputs / name / FILE_NAME
    write_measurement(replace(measurement, started_at=MIDNIGHT + later_s), path)
    return path.parent


def test_the_newest_valid_record_stands_for_the_run(tmp_path: Path) -> None:
    written(tmp_path, "2026-01-01/a", make_measurement("old"))
    newest = written(tmp_path, "2026-01-02/b", make_measurement("new"), 60)
    written(tmp_path, "2026-01-03/c", make_measurement("bad", verdict=INVALID), 120)
    kept = EarlierRuns(tmp_path).take(WANTED)
    assert kept is not None
    assert kept.measurement == read_measurement(newest / FILE_NAME)
    assert kept.line.startswith("RESUMED: VALID record of 20")
    assert kept.line.endswith(f" in {newest}")


def test_a_record_stands_for_one_run_only(tmp_path: Path) -> None:
    for number in range(2):
        written(tmp_path, str(number), make_measurement(str(number)), number)
    earlier = EarlierRuns(tmp_path)
    taken = [earlier.take(WANTED) for _ in range(3)]
    assert [kept.measurement.record_id if kept else None for kept in taken] == ["1", "0", None]
    assert earlier.why_not(WANTED) == ""


def test_a_record_kept_aside_counts_and_the_copy_in_mlflow_does_not(tmp_path: Path) -> None:
    written(tmp_path, "run", make_measurement("aside"))
    written(tmp_path, "run", make_measurement("later", times=9), 60)
    written(tmp_path, "mlartifacts/x/artifacts", make_measurement("aside"))
    earlier = EarlierRuns(tmp_path)
    taken = [earlier.take(WANTED) for _ in range(2)]
    assert [(kept.measurement.record_id, kept.folder) if kept else None for kept in taken] == [
        ("aside", tmp_path / "run"),
        None,
    ]


def test_a_record_is_found_once_a_run_of_this_sweep_has_used_its_folder(tmp_path: Path) -> None:
    written(tmp_path, "run", make_measurement("mine"))
    changed = replace(MACHINE, driver_version="579.0")
    written(tmp_path, "other", make_measurement("of another driver", machine=changed), -60)
    earlier = EarlierRuns(tmp_path)
    for place in ("run", "other"):
        written(tmp_path, place, make_measurement("another cell", times=9), 60)
    kept = earlier.take(WANTED)
    assert kept is not None
    assert (kept.measurement.record_id, kept.path) == ("mine", tmp_path / "run" / "measurement.1.json")
    assert earlier.why_not(WANTED).endswith("other differs in driver (579.0 against 580.1)")


@pytest.mark.parametrize("content", ["{", "", '{"schema_version": 3}', "[]"])
def test_what_cannot_be_read_is_told_and_stops_nothing(tmp_path: Path, content: str) -> None:
    good = written(tmp_path, "good", make_measurement("good"))
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / FILE_NAME).write_text(content)
    earlier = EarlierRuns(tmp_path)
    assert len(earlier.problems) == 1
    assert str(tmp_path / "bad" / FILE_NAME) in earlier.problems[0]
    kept = earlier.take(WANTED)
    assert kept is not None
    assert kept.folder == good


def test_without_any_record_all_runs_and_nothing_is_said(tmp_path: Path) -> None:
    earlier = EarlierRuns(tmp_path / "not there yet")
    assert (earlier.take(WANTED), earlier.why_not(WANTED), earlier.problems) == (None, "", [])


def test_a_record_of_other_circumstances_is_named_with_what_differs(tmp_path: Path) -> None:
    changed = replace(MACHINE, driver_version="579.0", environment={"OMP_NUM_THREADS": "2"})
    folder = written(tmp_path, "run", make_measurement(machine=changed))
    earlier = EarlierRuns(tmp_path)
    assert earlier.take(WANTED) is None
    said = earlier.why_not(WANTED)
    assert said.startswith("runs: the record of 20")
    assert said.endswith(
        f' in {folder} differs in driver (579.0 against 580.1), environment ({{"OMP_NUM_THREADS": "2"}} '
        "against none)"
    )


def test_an_invalid_record_is_named_with_its_reason(tmp_path: Path) -> None:
    folder = written(tmp_path, "run", make_measurement(verdict=INVALID))
    said = EarlierRuns(tmp_path).why_not(WANTED)
    assert said.endswith(f" in {folder} is INVALID: worker 1 was killed by SIGKILL")


def test_a_valid_record_is_named_rather_than_a_newer_invalid_one(tmp_path: Path) -> None:
    changed = replace(MACHINE, python="3.10.0")
    valid = written(tmp_path, "valid", make_measurement("valid", machine=changed))
    written(tmp_path, "invalid", make_measurement("invalid", verdict=INVALID), 60)
    assert f"{valid} differs in python (3.10.0 against 3.11.9)" in EarlierRuns(tmp_path).why_not(WANTED)


@pytest.mark.parametrize(
    "other", [make_measurement(verdict=SKIPPED), make_measurement(times=3), make_measurement(mps="on")]
)
def test_nothing_is_said_of_a_skipped_record_or_of_another_cell(tmp_path: Path, other: Measurement) -> None:
    written(tmp_path, "run", other)
    earlier = EarlierRuns(tmp_path)
    assert earlier.take(WANTED) is None
    assert earlier.why_not(WANTED) == ""
