"""A sweep of many cells leaves nothing behind in its parent, cell by cell."""

import runpy
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CHECKOUT

CELLS, SETTLED = 25, 5  # cells; those after which all that costs once has been paid
MAX_GROWTH_KIB = 400.0  # per cell; measured: under 100
BENCHMARK: dict[str, Any] = runpy.run_path(str(CHECKOUT / "benchmarks" / "long_sweep.py"))


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, int]]:
    """What the parent had after each cell."""
    found: list[dict[str, int]] = BENCHMARK["run_sweep"](tmp_path_factory.mktemp("long"), CELLS, [])
    assert len(found) == CELLS
    return found


@pytest.mark.parametrize("name", ["fds", "threads", "children", "zombies"])
def test_nothing_is_left_of_any_cell(samples: list[dict[str, int]], name: str) -> None:
    assert {each[name] for each in samples[SETTLED:]} == {samples[SETTLED][name]}


def test_no_zombie_waits_at_all(samples: list[dict[str, int]]) -> None:
    assert samples[-1]["zombies"] == 0


def test_nothing_is_left_in_shared_memory(samples: list[dict[str, int]]) -> None:
    """Other tests may have some there at the time, but not one more for each cell."""
    grown = samples[-1]["shared_memory"] - samples[SETTLED]["shared_memory"]
    assert grown < (CELLS - 1 - SETTLED) / 2


def test_memory_grows_by_little_more_than_what_the_tables_need(samples: list[dict[str, int]]) -> None:
    grown = samples[-1]["uss_kib"] - samples[SETTLED]["uss_kib"]
    assert grown / (CELLS - 1 - SETTLED) < MAX_GROWTH_KIB


def test_memory_does_not_grow_with_the_samples(tmp_path: Path, samples: list[dict[str, int]]) -> None:
    """20,000 iterations would be 800 KB of numbers a cell."""
    found = BENCHMARK["run_sweep"](tmp_path, 12, ["times=20000", "trace.iterations=0", "tracking=none"])
    grown = found[-1]["uss_kib"] - found[SETTLED]["uss_kib"]
    assert grown / (len(found) - 1 - SETTLED) < MAX_GROWTH_KIB
