"""How far packing pays; N processes in T seconds do 10 N / T iterations per second, steadily."""

import pytest

from mps_experiments.analysis.gains import Gain
from mps_experiments.analysis.packing import Packing, is_open, packing, pays
from mps_experiments.analysis.repeats import Group
from tests.report_panels import Makespans, arm, panel_of


def found(makespans_s: Makespans) -> Packing:
    result = packing(panel_of(*arm("on", makespans_s)).arm("on"))
    assert result is not None
    return result


def procs(group: Group | None) -> int | None:
    return group.first.cell.procs if group else None


def test_one_number_of_processes_says_nothing_of_packing() -> None:
    assert packing(panel_of(*arm("on", {2: 1.0})).arm("on")) is None
    assert packing({}) is None


def test_packing_pays_up_to_the_most_that_were_measured() -> None:
    result = found({1: 1.0, 2: 1.0, 4: 2.0 / 1.2})
    assert (procs(result.fewest), procs(result.limit), result.beyond) == (1, 4, ())
    assert Gain.between(result.limit, result.fewest).value == pytest.approx(2.4)
    assert result.open_beyond is None


def test_packing_pays_up_to_a_number_and_not_beyond() -> None:
    result = found({1: 1.0, 2: 1.0, 4: 1.95, 8: 4.0})
    assert procs(result.limit) == 2
    assert [procs(gain.numerator) for gain in result.beyond] == [4, 8]
    assert result.open_beyond is None


def test_time_slicing_does_not_pay() -> None:
    result = found({1: 1.0, 2: 3.7})
    assert procs(result.limit) == 1
    assert [(procs(gain.numerator), is_open(gain)) for gain in result.beyond] == [(2, False)]


@pytest.mark.parametrize(("makespan_s", "limit"), [(2 / 1.051, 2), (2 / 1.049, 1)])
def test_a_twentieth_more_is_what_packing_must_give(makespan_s: float, limit: int) -> None:
    assert procs(found({1: 1.0, 2: makespan_s}).limit) == limit


def test_small_steps_add_up() -> None:
    """One more of 24 gives 4 % at best, and yet all 24 run for free."""
    result = found(dict.fromkeys(range(1, 25), 1.0))
    assert procs(result.limit) == 23
    assert [procs(gain.numerator) for gain in result.beyond] == [24]


def test_a_step_that_gives_nothing_before_one_that_does_is_named() -> None:
    result = found({1: 1.0, 2: 2.0, 4: 1.0})
    assert procs(result.limit) == 4
    first, second = result.steps
    assert (procs(first.numerator), pays(first), is_open(first)) == (2, False, False)
    assert (procs(second.numerator), pays(second)) == (4, True)


def test_packing_whose_interval_allows_both_is_open_and_has_no_limit_beyond_the_fewest() -> None:
    noisy = found({1: (1.0, 1.1, 1.2, 1.0), 2: (1.2, 1.7, 2.6, 1.5)})
    assert procs(noisy.limit) == 1
    assert procs(noisy.open_beyond.numerator if noisy.open_beyond else None) == 2
    steady = found({1: (1.0, 1.01, 1.02, 1.0), 2: (1.0, 1.01, 1.02, 1.0)})
    assert (procs(steady.limit), steady.open_beyond) == (2, None)


def test_a_larger_number_that_surely_pays_counts_although_a_smaller_one_is_open() -> None:
    result = found({1: (1.0,) * 4, 2: (1.0, 2.0, 1.2, 2.4), 4: (1.0,) * 4})
    assert procs(result.limit) == 4
    assert [is_open(step) for step in result.steps] == [True, False]


def test_of_several_open_numbers_the_largest_gain_is_told() -> None:
    result = found({1: (1.0,) * 4, 2: (1.5, 2.5, 2.0, 2.0), 4: (3.0, 5.0, 3.5, 3.0)})
    assert result.open_beyond is not None
    assert procs(result.open_beyond.numerator) == 4


def test_without_an_interval_nothing_is_decided() -> None:
    result = packing(panel_of(*arm("on", {1: 1.0, 2: 1.0}, times=2)).arm("on"))
    assert result is not None
    assert procs(result.limit) == 1
    assert result.open_beyond is not None
    assert result.open_beyond.value == pytest.approx(2.0)


def test_the_order_of_the_arm_does_not_matter() -> None:
    groups = panel_of(*arm("on", {1: 1.0, 2: 1.0, 4: 1.9})).arm("on")
    assert packing(dict(reversed(groups.items()))) == packing(groups)
