"""Groups of repeats, and the interval of a ratio against data whose true ratio is known."""

import random

import numpy as np
import pytest

from mps_experiments.report.repeats import Group, ratio_change_interval, ratio_interval
from tests.records import INVALID, make_measurement


def makespans(mean_s: float, spread_s: float, count: int, seed: int) -> list[float]:
    return list(np.random.default_rng(seed).normal(mean_s, spread_s, count))


def test_a_group_knows_median_and_range_of_its_repeats() -> None:
    group = Group.of([make_measurement(str(s), procs=2, makespan_s=s) for s in (4.0, 1.0, 2.0)])
    assert (group.median_s, group.low_s, group.high_s, len(group)) == pytest.approx((2.0, 1.0, 4.0, 3))
    assert group.throughput_median_per_s == pytest.approx(4 / 2.0)


def test_a_group_is_the_same_whatever_the_order_of_its_runs() -> None:
    runs = [make_measurement(str(n), repeat=n % 3, makespan_s=1.0 + n) for n in range(6)]
    assert Group.of(runs) == Group.of(runs[::-1])
    assert [m.cell.repeat for m in Group.of(runs).measurements] == [0, 0, 1, 1, 2, 2]


def test_runs_that_are_not_valid_are_in_no_group() -> None:
    group = Group.of([make_measurement("a"), make_measurement("b", verdict=INVALID)])
    assert [m.record_id for m in group.measurements] == ["a"]
    with pytest.raises(ValueError, match="at least one VALID run"):
        Group.of([make_measurement("b", verdict=INVALID)])


def test_the_interval_covers_the_true_ratio_about_as_often_as_it_says() -> None:
    covered = 0
    for seed in range(100):
        low, high = ratio_interval(makespans(3.0, 0.2, 15, seed), makespans(2.0, 0.1, 15, seed + 1000))
        assert low < high
        covered += low <= 1.5 <= high
    assert 88 <= covered <= 99


def test_the_interval_lies_around_the_ratio_of_the_medians() -> None:
    x, y = makespans(3.0, 0.2, 9, 1), makespans(2.0, 0.1, 9, 2)
    low, high = ratio_interval(x, y)
    assert low < np.median(x) / np.median(y) < high
    assert 1.3 < low < high < 1.7


def test_the_interval_is_the_percentiles_of_resampled_ratios() -> None:
    """Two values, so that all draws can be listed: their medians are 2, 3, 3 and 4."""
    x, y = [2.0, 4.0], [1.0, 1.0]
    draws = [np.median([a, b]) / 1.0 for a in x for b in x]
    assert ratio_interval(x, y) == (min(draws), max(draws))  # each end has a chance of 1/4, above 2.5 %


def test_the_interval_of_few_repeats_never_reaches_beyond_the_ratios_seen() -> None:
    x, y = [3.0, 3.4, 3.1], [2.0, 2.2, 1.9]
    low, high = ratio_interval(x, y)
    assert min(x) / max(y) <= low < high <= max(x) / min(y)


def test_the_same_makespans_always_give_the_same_interval() -> None:
    x, y = makespans(3.0, 0.2, 7, 3), makespans(2.0, 0.1, 7, 4)
    expected = ratio_interval(x, y)
    shuffler = random.Random(0)  # noqa: S311 - an order, not a secret
    for _ in range(5):
        shuffler.shuffle(x)
        shuffler.shuffle(y)
        assert ratio_interval(x, y) == expected


def test_less_spread_gives_a_narrower_interval() -> None:
    widths = [
        high - low
        for spread_s in (0.4, 0.1, 0.01)
        for low, high in [ratio_interval(makespans(3.0, spread_s, 9, 5), makespans(2.0, spread_s, 9, 6))]
    ]
    assert widths[0] > 2 * widths[1] > 4 * widths[2] > 0


def test_equal_repeats_give_an_interval_without_width() -> None:
    assert ratio_interval([3.0, 3.0, 3.0], [2.0, 2.0]) == (1.5, 1.5)


@pytest.mark.parametrize(("x", "y"), [([3.0], [2.0, 2.0]), ([3.0, 3.0], [2.0]), ([], [])])
def test_one_repeat_has_no_interval(x: list[float], y: list[float]) -> None:
    with pytest.raises(ValueError, match="at least two repeats of each cell"):
        ratio_interval(x, y)


def test_a_change_of_ratios_is_resampled_over_all_four_cells() -> None:
    low, high = ratio_change_interval(([4.0, 4.4], [1.0, 1.1]), ([2.0, 2.0], [1.0, 1.0]))
    assert (low, high) == pytest.approx((4.0 / 1.1 / 2, 4.4 / 2))


def test_a_change_of_ratios_needs_repeats_of_all_four_cells() -> None:
    with pytest.raises(ValueError, match="at least two repeats of each cell"):
        ratio_change_interval(([4.0, 4.4], [1.0, 1.1]), ([2.0, 2.0], [1.0]))
