"""The table of a replay, and what it leaves open."""

from dataclasses import replace
from io import StringIO

from rich.console import Console

from mps_experiments.record import Measurement
from mps_experiments.replay.side_by_side import Sides, remarks, table
from tests.records import SKIPPED, make_measurement


def run(record_id: str, procs: int, makespan_s: float = 1.0, repeat: int = 0) -> Measurement:
    made = make_measurement(record_id, procs=procs, makespan_s=makespan_s, repeat=repeat)
    return replace(made, config={"procs": procs, "repeat": repeat}, name=f"{made.name} repeat={repeat}")


def text(sides: Sides) -> str:
    file = StringIO()
    Console(file=file, width=200).print(table(sides))
    return file.getvalue()


def test_repeats_of_a_cell_meet_their_own_cell_whatever_their_order() -> None:
    stored = [run("a", 1), run("b", 2), run("c", 2, repeat=1)]
    now = [run("d", 2), run("e", 1), run("f", 4)]
    cells = Sides(stored=stored, now=now, axes=("procs",)).cells()
    ids = [([m.record_id for m in then], [m.record_id for m in here]) for then, here in cells.values()]
    assert ids == [(["a"], ["e"]), (["b", "c"], ["d"])]


def test_a_cell_is_named_once_without_its_repeat() -> None:
    shown = text(Sides(stored=[run("a", 2)], now=[run("b", 2, 2.0)], axes=()))
    assert shown.count("mps=off procs=2 times=2") == 1
    assert "repeat=" not in shown
    assert "+100.0 %" in shown


def test_a_name_that_looks_like_markup_is_shown_as_it_is() -> None:
    odd = replace(run("a", 2), varied=("[red]x[/nope]",))
    assert "[red]x[/nope]" in text(Sides(stored=[odd], now=[], axes=()))


def test_what_is_not_valid_now_is_said_with_its_reason() -> None:
    skipped = replace(run("b", 1), verdict=SKIPPED, workers=())
    assert remarks(Sides(stored=[run("a", 1)], now=[skipped], axes=())) == [
        "mps=off procs=1 times=2 repeat=0: now SKIPPED: MPS needs an NVIDIA GPU"
    ]


def test_what_cannot_be_compared_is_said() -> None:
    assert "no ratio without the one-process run" in remarks(Sides(stored=[run("a", 2)], now=[], axes=()))[0]
    assert remarks(Sides(stored=[run("a", 1)], now=[run("b", 1)], axes=())) == []


def test_the_second_of_two_equal_runs_is_no_repeat() -> None:
    twin = replace(run("twin", 1), cell=run("twin", 1).cell.moved(twin=1))
    sides = Sides(stored=[run("a", 1), twin], now=[run("b", 1), twin], axes=())
    ((then, here),) = sides.cells().values()
    assert ([m.record_id for m in then], [m.record_id for m in here]) == (["a"], ["b"])
