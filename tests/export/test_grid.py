"""Axes of cells that are a full product, and what is said of others."""

import pytest

from mps_experiments.errors import ConfigError
from mps_experiments.export.grid import grid_of
from mps_experiments.export.values import Values


def cell(procs: int, *, mps: bool = True, repeat: int = 0) -> Values:
    return {"procs": procs, "mps.enabled": mps, "repeat": repeat, "times": 5}


def test_one_cell_has_no_axes_however_often_it_ran() -> None:
    grid = grid_of([cell(1), cell(1)])
    assert (grid.axes, grid.common) == ({}, cell(1))


def test_the_axis_that_changes_least_often_comes_first_with_values_as_they_were_measured() -> None:
    grid = grid_of([cell(procs, mps=mps) for mps in (False, True) for procs in (4, 1, 2)])
    assert list(grid.axes.items()) == [("mps.enabled", (False, True)), ("procs", (4, 1, 2))]
    assert grid.common == {"repeat": 0, "times": 5}


def test_true_and_one_are_two_values() -> None:
    assert grid_of([{"x": True}, {"x": 1}]).axes == {"x": (True, 1)}


def test_cells_that_are_no_full_product_are_refused_with_their_axes() -> None:
    with pytest.raises(ConfigError, match=r"its 3 cells are not the 4 of procs=1,2 x mps.enabled=true,false"):
        grid_of([cell(1), cell(2), cell(1, mps=False)])
