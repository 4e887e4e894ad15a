"""Groups of repeats, and which of their runs share a block."""

from dataclasses import replace

import pytest

from mps_experiments.analysis.repeats import Group, paired
from mps_experiments.record.measurement import Measurement
from tests.records import INVALID, make_measurement, with_latencies


def test_a_group_knows_the_figures_of_its_repeats() -> None:
    group = Group.of([make_measurement(str(s), procs=2, makespan_s=s) for s in (1.0, 2.0, 4.0)])
    assert (group.median_s, len(group)) == pytest.approx((2.0, 3))
    assert group.makespans_s == pytest.approx((1.0, 2.0, 4.0))
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


def test_latencies_are_pooled_over_the_blocks() -> None:
    runs = [with_latencies(make_measurement(str(n), times=3, repeat=n), 10, 20, 30 + n) for n in range(2)]
    latencies = Group.of(runs).latencies
    assert latencies.count == 6
    assert latencies.quantile_s(1.0) == pytest.approx(0.031)


def cell(procs: int, *places: tuple[str, int]) -> Group:
    """Runs by sweep and repeat, in order of time."""
    return Group.of([_run(procs, sweep, repeat, n) for n, (sweep, repeat) in enumerate(places)])


def _run(procs: int, sweep: str, repeat: int, number: int) -> Measurement:
    record_id = f"{procs}-{sweep}-{repeat}-{number}"
    return make_measurement(record_id, procs=procs, sweep_id=sweep, repeat=repeat)


def pairs(many: Group, one: Group) -> list[tuple[str, str]]:
    return [
        (many.measurements[a].record_id[2:-2], one.measurements[b].record_id[2:-2])
        for a, b in paired(many, one)
    ]


def test_runs_of_the_same_repeat_share_a_block() -> None:
    many, one = cell(2, ("a", 0), ("a", 1), ("a", 3)), cell(1, ("a", 1), ("a", 2), ("a", 3))
    assert pairs(many, one) == [("a-1", "a-1"), ("a-3", "a-3")]


def test_the_repeat_of_one_sweep_is_no_block_of_another() -> None:
    many, one = cell(2, ("a", 0), ("b", 0)), cell(1, ("b", 0), ("a", 0))
    assert sorted(pairs(many, one)) == [("a-0", "a-0"), ("b-0", "b-0")]


def test_a_resumed_sweep_goes_on_with_the_block_of_the_interrupted_one() -> None:
    many, one = cell(2, ("old", 0), ("new", 1)), cell(1, ("old", 0), ("old", 1))
    assert pairs(many, one) == [("old-0", "old-0"), ("new-1", "old-1")]


def began(group: Group, *at_s: float) -> Group:
    return Group.of([replace(m, started_at=at) for m, at in zip(group.measurements, at_s, strict=True)])


@pytest.mark.parametrize(
    ("many_at_s", "one_at_s", "found"),
    [
        ((1000, 2000), (900, 1900), [("b-0", "a-0"), ("b-1", "a-1")]),
        ((1000, 2000), (900, 90_000), [("b-0", "a-0")]),  # a day later
        ((1000, 2000), (4600, 4601), []),  # an hour, and the other block in between
        ((1000, 1100), (0, 100), []),  # one sweep after the other
        ((1000, 8000), (4600, 4700), [("b-0", "a-0"), ("b-1", "a-1")]),  # within an hour
    ],
)
def test_runs_of_two_sweeps_share_a_block_only_where_the_second_went_on_with_it(
    many_at_s: tuple[float, ...], one_at_s: tuple[float, ...], found: list[tuple[str, str]]
) -> None:
    many = began(cell(2, ("b", 0), ("b", 1)), *many_at_s)
    one = began(cell(1, ("a", 0), ("a", 1)), *one_at_s)
    assert pairs(many, one) == found


def test_of_several_runs_of_other_sweeps_the_nearest_shares_the_block() -> None:
    one = began(cell(1, ("a", 0), ("b", 0)), 0.0, 1000.0)
    assert pairs(began(cell(2, ("c", 0)), 900.0), one) == [("c-0", "b-0")]
