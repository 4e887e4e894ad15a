"""Coordinates by name, in order, and as earlier versions stored them."""

import pytest

from mps_experiments.record.cell import cell_of_any_version, times_order
from tests.records import make_measurement

CELL = make_measurement(mps="on", procs=3, times=5).cell


def test_an_axis_is_read_by_its_name_and_moved() -> None:
    assert (CELL.mps, CELL.procs, CELL.times, CELL.repeat) == ("on", 3, 5, 0)
    moved = CELL.moved(procs=4, twin=1)
    assert (moved.procs, moved.is_twin) == (4, True)
    assert (CELL.procs, CELL.is_twin) == (3, False)


def test_the_word_and_number_of_items_follow_from_inputs_and_batch() -> None:
    assert (CELL.items, CELL.item) == (1, "image")


def test_cells_are_sorted_by_iterations_with_auto_last() -> None:
    assert sorted(["auto", 50, 5], key=times_order) == [5, 50, "auto"]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("old", "affinity"),
    [
        ({}, "none"),
        ({"pinned": False, "rotated": True}, "none"),
        ({"pinned": True}, "auto"),
        ({"pinned": True, "rotated": True}, "rotate"),
    ],
)
def test_until_version_4_an_axis_was_a_field(old: dict[str, bool], affinity: str) -> None:
    fields = {name: CELL.axes[name] for name in ("mps", "procs", "times", "options")}
    stored = cell_of_any_version(fields | old | {"inputs": ["x"]})
    assert stored["inputs"] == ["x"]
    axes = stored["axes"]
    assert (axes["procs"], axes["cpu_affinity"], axes["twin"], axes["repeat"]) == (3, affinity, 0, 0)
    assert not {"pinned", "rotated", "inputs"} & axes.keys()


def test_what_is_no_cell_is_left_to_the_validation() -> None:
    assert cell_of_any_version([1]) == [1]
    with pytest.raises(ValueError, match="procs='two'"):
        cell_of_any_version({"axes": CELL.axes | {"procs": "two"}})
