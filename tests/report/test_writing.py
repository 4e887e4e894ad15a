"""The report as files."""

import re
from pathlib import Path

from mps_experiments.analysis.runs import ReportRun
from mps_experiments.record.measurement import read_measurement
from mps_experiments.record.verdict import Status, Verdict
from mps_experiments.report.report_page import Subject
from mps_experiments.report.writing import write_report
from tests.conftest import CHECKOUT
from tests.records import make_measurement
from tests.report_panels import full_sweep, subject_of

RESULTS = CHECKOUT / "docs" / "results"
PACKING = RESULTS / "2026-11-23-h100-why" / "packing"
MAX_BYTES = 5_000_000


def stored(*paths: Path) -> Subject:
    return Subject(runs=tuple(ReportRun.of(read_measurement(path), path.parent) for path in paths))


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_page_markdown_and_figures_are_written_and_named(tmp_path: Path) -> None:
    written = write_report(subject_of(*full_sweep()), tmp_path / "new" / "folder")
    assert [path.name for path in written.files[:2]] == ["report.html", "report.md"]
    assert {path.parent.name for path in written.figures} == {"figures"}
    assert {tmp_path / "new" / "folder" / name for name in files_of(tmp_path / "new" / "folder")} == set(
        written.files
    )


def test_every_picture_of_the_markdown_is_there(tmp_path: Path) -> None:
    written = write_report(subject_of(*full_sweep()), tmp_path)
    pictures = re.findall(r"\]\((figures/[^)]*)\)", written.markdown.read_text())
    assert len(pictures) == 4
    assert all((tmp_path / name).read_bytes().startswith(b"\x89PNG") for name in pictures)


def test_the_same_records_give_the_same_bytes(tmp_path: Path) -> None:
    """In any folder, and again over an earlier report."""
    runs = full_sweep()
    write_report(subject_of(*runs), tmp_path / "a")
    write_report(subject_of(*runs), tmp_path / "b")
    write_report(subject_of(*runs), tmp_path / "b")
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b")


def test_a_name_that_is_no_text_is_no_reason_to_fail(tmp_path: Path) -> None:
    problem = b"/data/\xff\xfe.json is damaged".decode(errors="surrogateescape")
    written = write_report(subject_of(*full_sweep(), problems=(problem,)), tmp_path)
    assert "is damaged" in written.html.read_text()
    assert "is damaged" in written.markdown.read_text()


def test_the_report_of_a_real_sweep_with_repeats(tmp_path: Path) -> None:
    written = write_report(stored(*sorted(PACKING.glob("*.json"))), tmp_path)
    page = written.html.read_text()
    assert "8 replicas under MPS: " in page
    assert "4 replicas do 0.55 times that [rough: 0.39 to 0.78]" in page
    assert "1 replica without MPS: " in page
    assert page.count("<svg") == 4
    assert len(page) < MAX_BYTES


def test_pictures_of_an_earlier_report_go_and_others_stay(tmp_path: Path) -> None:
    write_report(subject_of(*full_sweep()), tmp_path)
    (tmp_path / "figures" / "of-somebody.png").write_bytes(b"precious")
    assert (tmp_path / "figures" / "ratio.png").is_file()
    write_report(subject_of(*full_sweep()[:1]), tmp_path)
    assert [path.name for path in (tmp_path / "figures").iterdir()] == ["of-somebody.png"]


def test_what_would_move_a_cursor_or_turn_text_around_is_not_written(tmp_path: Path) -> None:
    reason = "boom \x1b[31mred\x07 \u202egnorw"
    bad = make_measurement(verdict=Verdict(status=Status.INVALID, reason=reason))
    written = write_report(subject_of(bad), tmp_path)
    for path in (written.html, written.markdown):
        text = path.read_text()
        assert "gnorw" in text
        assert not {"\x1b", "\x07", "\u202e"} & set(text)
