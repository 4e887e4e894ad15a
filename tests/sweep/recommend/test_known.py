"""What a cell costs, and which is measured first."""

from dataclasses import replace
from typing import Any

from mps_experiments.sweep.recommend.aim import Aim
from mps_experiments.sweep.recommend.known import KnownCells
from tests.records import make_measurement

USUAL = make_measurement().cell.axes


def cell(procs: int, mps: str = "off", **axes: Any) -> dict[str, Any]:
    return USUAL | {"procs": procs, "mps": mps} | axes


def test_a_cell_costs_by_processes_then_by_mps_and_the_cheapest_is_the_reference() -> None:
    axes = [cell(4), cell(2, "on"), cell(2), cell(1, "on"), cell(1)]
    known = KnownCells(Aim(), axes, [str(place) for place in range(len(axes))])
    costs = [arm.cost for arm in known.search.arms]
    assert sorted(range(len(axes)), key=costs.__getitem__) == [4, 3, 2, 1, 0]
    assert known.search.reference == 4


def test_the_fewest_processes_are_measured_first_then_the_most_then_the_middle() -> None:
    procs = (1, 2, 4, 8, 16)
    known = KnownCells(Aim(), [cell(each) for each in procs], [f"procs={each}" for each in procs])
    assert [arm.depth for arm in known.search.arms] == [-1, 2, 1, 2, 0]


def test_a_stored_run_puts_the_first_block_behind_its_own() -> None:
    known = KnownCells(Aim(), [cell(1), cell(2)], ["one", "two"])
    run = make_measurement(procs=2)
    known.take(1, replace(run, cell=run.cell.moved(repeat=3)))
    assert (known.taken, known.measured, known.search.first_block) == (1, 0, 4)
    assert [len(runs) for runs in known.runs] == [0, 1]
