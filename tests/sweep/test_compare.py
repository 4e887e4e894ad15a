"""``python -m mps_experiments.compare``: what it prints, its exit codes, its tables."""

from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from mps_experiments.record.measurement import FILE_NAME, Measurement, write_measurement
from mps_experiments.sweep.compare import circumstance_table, main, number_table
from mps_experiments.sweep.comparison import compared
from mps_experiments.sweep.export.values import StoredRun
from tests.records import INVALID, make_measurement
from tests.sweep.test_comparison import changed, faults, runs, watched

NAMES = ("A", "B")


def lines(table: Table) -> list[list[str]]:
    file = StringIO()
    Console(file=file, width=200).print(table)
    return [
        [cell.strip() for cell in line.split("│")[1:-1]]
        for line in file.getvalue().splitlines()
        if "│" in line
    ]


def test_a_line_holds_both_numbers_their_ratio_and_latencies() -> None:
    stored = [*runs(2.0, 2.0), *runs(1.0, procs=1), *runs(1.0, procs=4)]
    now = [*runs(1.0, 1.0), *runs(1.0, procs=1, verdict=INVALID)]
    assert lines(number_table(compared(stored, now), NAMES)) == [
        ["mps=off procs=1 times=2", "2.0", "INVALID", "-", "500 → -", "- → -"],
        ["mps=off procs=2 times=2", "2.0", "4.0", "2.00 [2.00, 2.00]", "1000 → 500", "- → -"],
    ]


def test_rates_name_their_item_and_are_written_as_in_a_report() -> None:
    table = number_table(compared(runs(0.1716, 0.1716), runs(2.0, 2.0)), NAMES)
    assert [column.header for column in table.columns[1:3]] == ["A images/s", "B images/s"]
    assert lines(table)[0][1:3] == ["23.3", "2.0"]


def test_of_cells_with_several_kinds_of_item_the_heading_says_items() -> None:
    one = replace(runs(1.0)[0].measurement.cell, inputs=())
    other = [changed(run, cell=one) for run in runs(1.0, 1.0, config={"workload": {"batch": 8}})]
    both = [*runs(1.0, 1.0), *other]
    assert number_table(compared(both, both), NAMES).columns[1].header == "A items/s"


def test_a_change_that_decides_is_told_from_1_in_its_row() -> None:
    now = runs(1.0, 1.0001, 1.0, 1.0001)
    (line,) = lines(number_table(compared(runs(1.003, 1.0031, 1.003, 1.0031), now), NAMES))
    assert line[3] == "1.0030 [1.0029, 1.0031]"


def test_p99_is_told_of_enough_iterations() -> None:
    (line,) = lines(number_table(compared(runs(6.0, times=600), runs(3.0, times=600)), NAMES))
    assert line[4:] == ["10.0 → 5.00", "10.0 → 5.00"]


def test_of_a_fault_it_is_told_in_how_many_trials_all_others_finished() -> None:
    (line,) = lines(number_table(compared(faults(True, True), faults(True, False)), NAMES))
    assert line[:3] == ["mps=off procs=2 times=4 fault=kill: all others finished", "2 of 2", "1 of 2"]


def test_a_text_that_looks_like_markup_is_shown_as_it_is() -> None:
    assert lines(circumstance_table([("[red]x[/nope]", "a", "b")], NAMES)) == [["[red]x[/nope]", "a", "b"]]


def stored(folder: Path, *measurements: Measurement) -> str:
    for measurement in measurements:
        write_measurement(measurement, folder / measurement.record_id / FILE_NAME)
    return str(folder)


def cell(record_id: str, makespan_s: float, procs: int = 2, repeat: int = 0) -> Measurement:
    made = make_measurement(record_id, procs=procs, makespan_s=makespan_s, repeat=repeat)
    return replace(made, config={"procs": procs, "repeat": repeat})


def side(name: str, *makespans_s: float) -> list[Measurement]:
    return [cell(f"{name}-{number}", seconds, repeat=number) for number, seconds in enumerate(makespans_s)]


def of_side(name: str, run: StoredRun) -> Measurement:
    return replace(run.measurement, record_id=f"{name}-{run.measurement.record_id}", config=run.values)


def test_the_verdict_comes_first_and_what_is_left_out_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a = stored(tmp_path / "a", *side("a", 1.0, 1.01, 1.0, 1.01))
    b = stored(tmp_path / "b", *side("b", 2.0, 2.02, 2.0, 2.02), cell("more", 1.0, procs=8))
    assert main([a, b]) == 0
    out = capsys.readouterr().out
    said = out.splitlines()
    assert said[0] == "B is 50 % slower than A in 1 of 1 cell; 1 cell cannot be compared"
    assert said[1].startswith(f"A: {a}: 4 runs, 20")
    assert "A AGAINST B" in said
    assert "not compared, only in B: mps=off procs=8 times=2" in said
    assert "0.5000 [0.4951, 0.5050]" in out


def test_a_run_that_is_left_out_is_told_beside_its_side(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = (
        stored(tmp_path / name, *(of_side(name, run) for run in side))
        for name, side in (
            ("a", [*watched(5.0, 4.0), *watched(10.0, 1.0, 1.0)]),
            ("b", watched(10.0, 1.0, 1.5)),
        )
    )
    assert main([a, b]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[1].startswith(f"A: {a}: 3 runs, ")
    assert said[2] == "A: 1 stored run is not used: it differs in window_s (5.0 against 10.0)"
    assert said[3].startswith(f"B: {b}: 2 runs, ")


def test_runs_that_both_sides_hold_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    both = side("both", 9.0, 9.0)
    a = stored(tmp_path / "a", *side("a", 1.0, 1.0), *both)
    b = stored(tmp_path / "b", *side("b", 2.0, 2.0), *both)
    assert main([a, b]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "B is 50 % slower than A in 1 of 1 cell"
    assert "not used: 2 runs that A and B share" in said


def test_without_a_common_cell_or_with_a_damaged_record_the_exit_code_is_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = (stored(tmp_path / name, *side(name, 1.0, 1.01)) for name in "ab")
    other = stored(tmp_path / "c", cell("c", 1.0, procs=8))
    assert main([a, other]) == 1
    assert capsys.readouterr().out.startswith("cannot tell: no cell can be compared\n")
    (tmp_path / "b" / "b-1" / FILE_NAME).write_text("{")
    assert main([a, b]) == 1
    assert "b-1/measurement.json is not a record" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["A", "nowhere"], "run=nowhere: no such file or folder"),
        (["A", "A"], "B=A: holds the same records as A; name another sweep"),
        (["A", "A", "output_dir=x"], "B=A: holds the same records"),
        (["A", "A/a-0"], "B=A/a-0: holds a part of A; name another sweep"),
        (["A/a-0", "A"], "B=A: holds all of A/a-0; name another sweep"),
    ],
)
def test_a_mistake_is_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    stored(Path("A"), *side("a", 1.0, 1.0))
    assert main(words) == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err.count("\n")) == ("", 1)
    assert said in printed.err
