"""One cell over another: the value, its interval, and how often that holds the truth."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import ttest_ind

from mps_experiments.analysis.estimates import (
    Estimate,
    change_interval,
    compare,
    log_half_width,
    pace,
    throughput,
)
from mps_experiments.analysis.repeats import Group
from tests.records import make_measurement, with_latencies

STEADY = (100.0,) * 10
UNEVEN = (90.0, 110.0, 105.0, 95.0, 120.0, 80.0, 100.0, 100.0)


def cell(procs: int, *makespans_s: float, first: int = 0, times: int = 10) -> Group:
    """One run a block, in blocks from `first` on."""
    return Group.of(
        [
            make_measurement(f"{procs}-{n}", procs=procs, repeat=n, makespan_s=seconds, times=times)
            for n, seconds in enumerate(makespans_s, first)
        ]
    )


def of_latencies(procs: int, *blocks_ms: Sequence[float]) -> Group:
    runs = [
        with_latencies(make_measurement(f"{procs}-{n}", procs=procs, times=len(each), repeat=n), *each)
        for n, each in enumerate(blocks_ms)
    ]
    return Group.of(runs)


def gain(many: Group, one: Group) -> Estimate:
    return compare(many, one, throughput)


def test_the_value_is_the_geometric_mean_of_the_ratios_within_blocks() -> None:
    many, one = cell(2, 1.0, 2.0, 1.6), cell(1, 1.0, 1.0, 1.2)
    found = compare(many, one, pace)
    assert found.value == pytest.approx((1.0 * 2.0 * 1.6 / 1.2) ** (1 / 3))
    assert gain(many, one).value == pytest.approx(2 / found.value)
    assert found.blocks == 3


def test_cells_that_share_one_block_are_compared_by_all_of_their_runs() -> None:
    many, one = cell(2, 1.0, 1.2, 1.1, first=2), cell(1, 1.0, 1.1, 0.9)
    found = compare(many, one, pace)
    logs = [[math.log(each) for each in group.paces_s] for group in (many, one)]
    assert found.interval == pytest.approx(change_interval(*logs))
    assert (found.blocks, found.rough) == (1, True)
    assert found.value == pytest.approx(math.exp(np.mean(logs[0]) - np.mean(logs[1])))


def test_cells_of_two_days_share_no_block_and_have_welchs_interval() -> None:
    many, one = cell(2, 1.0, 1.2, 1.1, 1.15, 1.05), cell(1, 1.0, 1.1, 0.9, 1.05, 0.95)
    earlier = Group.of(
        [replace(m, sweep_id="before", started_at=m.started_at - 86_400.0) for m in one.measurements]
    )
    found = gain(many, earlier)
    logs = [[math.log(each) for each in group.throughputs_per_s] for group in (many, one)]
    assert found.interval == pytest.approx(change_interval(*logs))
    assert (found.blocks, found.rough) == (0, True)
    assert found.why == "no common block: all runs of the one over all of the other (Welch's t)"


def test_what_the_runs_of_a_block_share_falls_out() -> None:
    """The machine is three times slower in one block than in another, for both."""
    found = gain(cell(2, 1.0, 3.0, 2.0, 1.5), cell(1, 1.0, 3.0, 2.0, 1.5))
    assert found.interval == pytest.approx((2.0, 2.0))
    assert found.half_width == pytest.approx(0.0)
    assert not found.rough


def test_from_four_blocks_on_the_interval_is_students_of_the_logarithms() -> None:
    found = compare(cell(2, 1.0, 1.1, 1.2, 1.3), cell(1, 1.0, 1.0, 1.0, 1.0), pace)
    logs = np.log([1.0, 1.1, 1.2, 1.3])
    half = 3.182446305 * logs.std(ddof=1) / 2
    assert found.interval == pytest.approx((math.exp(logs.mean() - half), math.exp(logs.mean() + half)))
    assert found.half_width == pytest.approx(math.expm1(half))
    assert not found.rough
    assert found.why == "4 blocks: Student's t of the ratios within each"


@pytest.mark.parametrize("blocks", [4, 10])
def test_the_interval_holds_the_true_gain_in_95_percent_of_all_sweeps(blocks: int) -> None:
    """Blocks differ by a factor of 1.3, runs within a block by 5 and 8 %."""
    rng, runs = np.random.default_rng(blocks), 400
    held = 0
    for _ in range(runs):
        block = rng.lognormal(sigma=0.26, size=blocks)
        one, many = (list(block * rng.lognormal(sigma=each, size=blocks)) for each in (0.05, 0.08))
        interval = gain(cell(2, *many, times=2), cell(1, *one, times=2)).interval
        held += interval is not None and interval[0] <= 2.0 <= interval[1]
    assert 0.92 <= held / runs <= 0.98


@pytest.mark.parametrize(("blocks", "least", "most"), [(2, 0.65, 0.76), (3, 0.88, 0.96)])
def test_fewer_than_four_blocks_hold_it_as_often_as_their_text_says(
    blocks: int, least: float, most: float
) -> None:
    rng, runs = np.random.default_rng(blocks), 400
    held = 0
    for _ in range(runs):
        one, many = (list(rng.lognormal(sigma=0.1, size=blocks)) for _ in range(2))
        found = gain(cell(2, *many, times=2), cell(1, *one, times=2))
        assert found.rough
        assert found.interval is not None
        held += found.interval[0] <= 2.0 <= found.interval[1]
    assert least <= held / runs <= most
    said = {2: "70 %", 3: "92 %"}[blocks]
    assert (
        found.why
        == f"{blocks} blocks: as wide as they differ, which holds the truth in about {said} of all cases"
    )


def test_one_block_has_the_interval_of_what_happened_within_its_runs() -> None:
    many, one = of_latencies(2, UNEVEN), of_latencies(1, UNEVEN)
    found = gain(many, one)
    own = log_half_width(one.figures[0])
    assert own is not None
    assert found.half_width == pytest.approx(math.expm1(math.hypot(own, own)), rel=0.01)
    assert (found.blocks, found.rough, found.why.partition(":")[0]) == (1, True, "one block")


def test_what_happened_within_runs_counts_where_blocks_agree_by_chance() -> None:
    found = gain(of_latencies(2, UNEVEN, UNEVEN), of_latencies(1, UNEVEN, UNEVEN))
    alone = gain(of_latencies(2, UNEVEN), of_latencies(1, UNEVEN))
    assert found.half_width is not None
    assert alone.half_width is not None
    assert math.log1p(found.half_width) == pytest.approx(math.log1p(alone.half_width) / math.sqrt(2))
    assert found.why == "2 blocks: of what happened within the runs, which is more than they differ by"


def test_one_block_of_a_short_window_has_no_interval_and_says_what_would_give_one() -> None:
    found = gain(cell(2, 1.0, times=7), cell(1, 1.0, times=7))
    assert found.value == pytest.approx(2.0)
    assert (found.interval, found.half_width) == (None, None)
    assert found.why == "no interval: it needs 8 iterations of each process in the common window or 4 blocks"


def test_cells_without_a_common_block_are_compared_as_they_are() -> None:
    found = gain(cell(2, 1.0, 4.0), cell(1, 2.0, first=2))
    assert found.value == pytest.approx(2.0)
    assert (found.blocks, found.rough) == (0, True)
    assert found.why.startswith("no common block: ")


def test_a_run_that_stood_still_has_no_interval_that_says_anything() -> None:
    stalled = of_latencies(1, (1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 5000.0))
    assert log_half_width(stalled.figures[0]) == math.inf
    alone = gain(of_latencies(2, STEADY), stalled)
    assert (alone.interval, alone.half_width) == (None, None)
    assert alone.why == "no interval: a run changed too much for one; 4 blocks would give it"
    pair = of_latencies(1, *[(1.0,) * 8 + (seconds,) for seconds in (5000.0, 6000.0)])
    two = gain(of_latencies(2, STEADY, STEADY), pair)
    assert two.interval is not None
    assert two.why.startswith("2 blocks: as wide as they differ")


def test_an_estimate_is_shown_with_its_interval() -> None:
    assert gain(cell(2, 1.0), cell(1, 1.0)).text == "2.00 [2.00, 2.00]"
    assert gain(cell(2, 1.0, times=2), cell(1, 1.0, times=2)).text == "2.00"


@pytest.mark.parametrize(
    ("value", "interval", "text"),
    [
        (1.43, (0.04, 51.96), "1.43 [0.04, 51.96]"),
        (1.0378, (0.9902, 1.0887), "1.038 [0.990, 1.089]"),
        (1.0, (0.9004, 1.0996), "1.00 [0.90, 1.10]"),
        (1.0033, (1.0021, 1.0046), "1.0033 [1.0021, 1.0046]"),
        (1.0, (0.99998, 1.00002), "1.0000 [1.0000, 1.0000]"),
        (2.0, (2.0, 2.0), "2.00 [2.00, 2.00]"),
        (2.0, None, "2.00"),
    ],
)
def test_a_precise_text_has_two_digits_of_half_its_interval(
    value: float, interval: tuple[float, float] | None, text: str
) -> None:
    estimate = Estimate(value=value, interval=interval, half_width=None, blocks=0, rough=False, why="")
    assert estimate.precise_text == text


def test_a_change_between_two_days_has_welchs_interval() -> None:
    now, then = [0.1, 0.2, 0.15], [0.0, 0.3, 0.1, 0.2]
    expected = ttest_ind(now, then, equal_var=False).confidence_interval(0.95)
    assert np.log(change_interval(now, then)) == pytest.approx((expected.low, expected.high))
    assert change_interval([0.1, 0.1], [0.0, 0.0]) == pytest.approx((math.exp(0.1),) * 2)
