"""What becomes of each run of a sweep, with a tracker that remembers, or fails when it is told to."""

import errno
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from mps_experiments.errors import RecordError, TrackingError
from mps_experiments.record.measurement import (
    FILE_NAME,
    Measurement,
    find_measurements,
    read_measurement,
    write_measurement,
)
from mps_experiments.record.summaries import NAME as SUMMARY
from mps_experiments.record.summaries import read_summary
from mps_experiments.sweep.ledger import Ledger, check_room, write_somewhere
from mps_experiments.tracking.tracker import SweepInfo, SweepReport, Tracker
from tests.fakes.plans import run_plan
from tests.fakes.stores import fill, mounted
from tests.records import make_measurement, read_json

INFO = SweepInfo(sweep_id="sweep", name="a sweep", command="python -m mps_experiments -m", is_sweep=True)


@dataclass
class Remembering(Tracker):
    """Attributes: fails_at: the record that it does not take."""

    fails_at: str = ""
    logged: list[str] = field(default_factory=list)
    finished: list[str] = field(default_factory=list)
    missing: list[tuple[str, ...]] = field(default_factory=list)

    def log_cell(self, measurement: Measurement, folder: Path, interrupted: bool) -> bool:  # noqa: ARG002
        if measurement.record_id == self.fails_at:
            raise TrackingError("MLflow is not there")
        self.logged.append(measurement.record_id)
        self.missing.append(measurement.missing)
        return True

    def finish_sweep(self, measurements: Sequence[Measurement], report: SweepReport, status: str) -> None:  # noqa: ARG002
        self.finished.append(status)


def said(tables: str) -> SweepReport:
    return SweepReport(tables=tables, description=tables)


def ledger(folder: Path, tracker: Remembering | None = None) -> Ledger:
    return Ledger(INFO, tracker or Remembering(), folder=folder)


def keep(book: Ledger, folder: Path, record_id: str) -> None:
    plan = run_plan(folder / record_id)
    book.keep(make_measurement(record_id), plan)
    book.log()
    book.note(plan, make_measurement(record_id), 0.0, 0.0)


def test_a_run_is_on_disk_in_mlflow_and_in_sweep_json(tmp_path: Path) -> None:
    tracker = Remembering()
    book = ledger(tmp_path, tracker)
    keep(book, tmp_path, "one")
    assert [read_measurement(path).record_id for path in find_measurements(tmp_path)] == ["one"]
    assert tracker.logged == ["one"]
    summary = read_json(tmp_path / SUMMARY)
    assert (summary["status"], summary["command"], summary["name"]) == ("RUNNING", INFO.command, INFO.name)
    assert [(cell["folder"], cell["verdict"]) for cell in summary["cells"]] == [("one", "VALID")]


def test_after_its_first_failure_the_tracker_is_not_asked_again_and_every_record_is_on_disk(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tracker = Remembering(fails_at="two")
    book = ledger(tmp_path, tracker)
    for record_id in ("one", "two", "three"):
        keep(book, tmp_path, record_id)
    book.finish(said("tables"), "FINISHED")
    assert tracker.logged == ["one"]
    assert tracker.finished == []
    assert len(find_measurements(tmp_path)) == 3
    assert book.tracking_problem == "MLflow is not there"
    assert capsys.readouterr().err.count("MLflow is not there") == 1
    *_, line = book.places_to_look(said(""))
    assert line.endswith(f" -m mps_experiments.sync {tmp_path}")


def test_records_that_are_gone_are_told_once_and_nobody_says_that_they_stay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    book = ledger(tmp_path / "sweep", Remembering(fails_at="three"))
    book.take_over(make_measurement("old"), tmp_path / "earlier", "of an earlier sweep")
    for record_id in ("one", "two"):
        keep(book, tmp_path / "sweep", record_id)
    book.look_for_records()
    assert (capsys.readouterr().err, book.misplaced) == ("", 0)
    (tmp_path / "sweep").rename(tmp_path / "moved")
    keep(book, tmp_path / "sweep", "three")
    assert capsys.readouterr().err == "mps_experiments: MLflow is not there\n"
    book.look_for_records()
    line = f"mps_experiments: 2 of 3 records are no longer in {tmp_path / 'sweep'}\n"
    assert (capsys.readouterr().err, book.misplaced) == (line, 2)


def test_a_run_taken_over_counts_under_its_new_name_and_is_logged_as_it_was(tmp_path: Path) -> None:
    tracker = Remembering()
    book = ledger(tmp_path, tracker)
    book.take_over(replace(make_measurement("old"), name="old name"), tmp_path, "new name")
    book.log()
    assert [m.name for m in book.measurements] == ["new name"]
    assert (tracker.logged, book.logged) == (["old"], {"old"})


def test_a_record_taken_over_is_linked_into_the_sweep_and_named_relative_to_it(tmp_path: Path) -> None:
    earlier, sweep = tmp_path / "earlier" / "cell", tmp_path / "day" / "sweep"
    write_measurement(make_measurement("old"), earlier / FILE_NAME)
    book, plan = ledger(sweep), run_plan(sweep / "cell" / "trial-0")
    book.note(plan, make_measurement("old"), 0.0, 0.0, resumed_from=earlier / FILE_NAME)
    assert (sweep / "cell" / "trial-0" / FILE_NAME).samefile(earlier / FILE_NAME)
    summary = read_summary(sweep / SUMMARY)
    assert summary is not None
    assert [cell.resumed_from for cell in summary.cells] == ["../../earlier/cell"]
    assert [folder for _, folder in summary.records_taken_over()] == [earlier]


def test_at_the_end_the_tables_lie_beside_the_records_and_the_sweep_is_closed(tmp_path: Path) -> None:
    tracker = Remembering()
    book = ledger(tmp_path, tracker)
    keep(book, tmp_path, "one")
    book.finish(said("the tables\n"), "KILLED")
    assert (tmp_path / "tables.txt").read_text() == "the tables\n"
    assert read_json(tmp_path / SUMMARY)["status"] == "KILLED"
    assert tracker.finished == ["KILLED"]
    assert list(book.places_to_look(said(""))) == [f"records: {tmp_path}", tracker.browse_hint()]


def test_what_is_found_missing_later_is_in_the_record_in_the_tables_and_in_mlflow(tmp_path: Path) -> None:
    tracker = Remembering()
    book, plan = ledger(tmp_path, tracker), run_plan(tmp_path / "one", trace={"iterations": 1})
    first = replace(make_measurement("one"), missing=("telemetry: none",))
    book.keep(first, plan)
    complete = book.add_missing(first, ["files: no room"])
    book.log()
    assert complete.missing == ("telemetry: none", "files: no room")
    (path,) = find_measurements(tmp_path)  # not kept twice
    assert read_measurement(path) == complete
    assert book.measurements[0].missing == complete.missing
    assert tracker.missing == [complete.missing]


def test_where_there_is_no_room_for_it_the_record_stays_and_a_line_says_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    book, plan = ledger(tmp_path), run_plan(tmp_path / "one")
    measurement = make_measurement("one")
    book.keep(measurement, plan)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("mps_experiments.record.disk.write_atomically", full)
    book.add_missing(measurement, ["files: no room"])
    (path,) = find_measurements(tmp_path)
    assert read_measurement(path) == measurement
    assert capsys.readouterr().err.startswith(
        f"mps_experiments: {measurement.name}: files: no room; its record does not say so: "
    )


def test_sweep_json_tells_what_a_run_took_and_what_was_done_beside_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mps_experiments.sweep.ledger.time.monotonic", lambda: 110.0)
    book, plan = ledger(tmp_path), run_plan(tmp_path / "one")
    book.note(plan, make_measurement("one"), 100.0, 105.0, 106.0)
    book.note(plan, make_measurement("two"), 100.0, 105.0)
    entries = read_json(tmp_path / SUMMARY)["cells"]
    times = [[entry[f"{name}_s"] for name in ("total", "record", "beside_next_run")] for entry in entries]
    assert times == [[6.0, 1.0, 4.0], [10.0, 5.0, 0.0]]


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


def test_a_record_is_in_its_place_where_there_is_room(disk: Path, elsewhere: Path) -> None:
    measurement = make_measurement("one")
    assert write_somewhere(measurement, disk / "run" / FILE_NAME) == disk / "run" / FILE_NAME
    assert read_measurement(disk / "run" / FILE_NAME) == measurement
    assert list(elsewhere.iterdir()) == []


def test_a_record_without_room_goes_to_the_temporary_folder(disk: Path, elsewhere: Path) -> None:
    measurement = make_measurement("one", times=1000)
    fill(disk)
    kept = write_somewhere(measurement, disk / "run" / FILE_NAME)
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
        write_somewhere(make_measurement("one", times=1000), disk / "run" / FILE_NAME)
