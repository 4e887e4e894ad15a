"""The tables of a replay as they are printed."""

from io import StringIO

from rich.console import Console
from rich.table import Table

from mps_experiments.sweep.replay.comparison import compared
from mps_experiments.sweep.replay.tables import circumstance_table, number_table
from tests.records import INVALID
from tests.sweep.replay.test_comparison import faults, runs


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
    assert lines(number_table(compared(stored, now))) == [
        ["mps=off procs=1 times=2", "2.00", "INVALID", "-", "500.0 → -", "- → -"],
        ["mps=off procs=2 times=2", "2.00", "4.00", "2.00 [2.00, 2.00]", "1000.0 → 500.0", "- → -"],
        ["mps=off procs=4 times=2", "8.00", "-", "-", "500.0 → -", "- → -"],
    ]


def test_p99_is_told_of_enough_iterations() -> None:
    (line,) = lines(number_table(compared(runs(6.0, times=600), runs(3.0, times=600))))
    assert line[4:] == ["10.0 → 5", "10.0 → 5"]


def test_of_a_fault_it_is_told_in_how_many_trials_all_others_finished() -> None:
    (line,) = lines(number_table(compared(faults(True, True), faults(True, False))))
    assert line[:3] == ["mps=off procs=2 times=4 fault=kill: all others finished", "2 of 2", "1 of 2"]


def test_a_text_that_looks_like_markup_is_shown_as_it_is() -> None:
    assert lines(circumstance_table([("[red]x[/nope]", "a", "b")])) == [["[red]x[/nope]", "a", "b"]]
