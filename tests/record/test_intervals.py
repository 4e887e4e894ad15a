"""Sets of intervals against cases by hand, and against single nanoseconds counted one by one."""

import numpy as np
import pytest
from numpy.typing import NDArray

from mps_experiments.record.intervals import Intervals

GRID = np.arange(120)


def union(*spans: tuple[int, int]) -> Intervals:
    array = np.array(spans, np.int64).reshape(-1, 2)
    return Intervals.union(array[:, 0], array[:, 1])


def spans_of(intervals: Intervals) -> list[tuple[int, int]]:
    return list(zip(intervals.starts_ns.tolist(), intervals.ends_ns.tolist(), strict=True))


def on_grid(spans: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Mark the nanoseconds that any span holds, the slow and obvious way."""
    return np.array([any(start <= t < end for start, end in spans) for t in GRID])


def random_spans(seed: int) -> NDArray[np.int64]:
    rng = np.random.default_rng(seed)
    starts = rng.integers(0, 90, rng.integers(0, 15))
    return np.stack([starts, starts + rng.integers(-2, 20, len(starts))], axis=1)


def test_overlapping_touching_and_contained_intervals_become_one() -> None:
    assert spans_of(union((0, 10), (5, 15), (15, 20), (2, 3))) == [(0, 20)]


def test_intervals_with_a_gap_stay_apart_and_come_in_order_of_time() -> None:
    assert spans_of(union((30, 40), (0, 10), (11, 12))) == [(0, 10), (11, 12), (30, 40)]


def test_one_that_contains_many_later_ones_is_not_cut_at_their_ends() -> None:
    assert spans_of(union((0, 100), (10, 20), (30, 40), (99, 101))) == [(0, 101)]


def test_empty_and_backward_intervals_cover_nothing() -> None:
    assert spans_of(union((5, 5), (9, 7), (20, 21))) == [(20, 21)]
    assert spans_of(union((5, 5))) == []
    assert union().total_ns == 0


def test_within_cuts_at_both_sides_and_drops_what_lies_outside() -> None:
    assert spans_of(union((0, 10), (20, 30), (40, 50), (60, 70)).within(5, 45)) == [
        (5, 10),
        (20, 30),
        (40, 45),
    ]
    assert spans_of(union((0, 10)).within(10, 20)) == []


def test_a_start_is_covered_and_an_end_is_not() -> None:
    assert union((10, 20), (30, 31)).covers(np.array([9, 10, 19, 20, 30, 31])).tolist() == [
        False, True, True, False, True, False,
    ]  # fmt: skip


def test_times_of_today_in_nanoseconds_lose_no_digit() -> None:
    now = 1_795_470_982_128_729_215
    assert spans_of(union((now, now + 1), (now + 2, now + 3))) == [(now, now + 1), (now + 2, now + 3)]


@pytest.mark.parametrize("seed", range(30))
def test_random_sets_equal_nanoseconds_counted_one_by_one(seed: int) -> None:
    spans = random_spans(seed)
    found, expected = Intervals.union(spans[:, 0], spans[:, 1]), on_grid(spans)
    assert found.covers(GRID).tolist() == expected.tolist()
    assert found.total_ns == expected.sum()
    assert found.within(20, 60).total_ns == expected[20:60].sum()
    assert (found.starts_ns[1:] > found.ends_ns[:-1]).all()
