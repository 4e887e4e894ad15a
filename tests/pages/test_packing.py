"""How far packing pays; N processes in T seconds do 10 N / T iterations per second."""

import pytest

from mps_experiments.pages.packing import Packing, gain, packing
from mps_experiments.report.repeats import Group
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
    assert (procs(result.fewest), procs(result.limit), result.beyond) == (1, 4, None)
    assert gain(result.fewest, result.limit) == pytest.approx(2.4)
    assert not result.may_pay_beyond


def test_packing_pays_up_to_a_number_and_not_beyond() -> None:
    result = found({1: 1.0, 2: 1.0, 4: 1.95, 8: 4.0})
    assert (procs(result.limit), procs(result.beyond)) == (2, 4)


def test_time_slicing_does_not_pay() -> None:
    result = found({1: 1.0, 2: 3.7})
    assert (procs(result.limit), procs(result.beyond)) == (1, 2)


@pytest.mark.parametrize(("makespan_s", "limit"), [(2 / 1.051, 2), (2 / 1.049, 1)])
def test_a_twentieth_more_is_what_packing_must_give(makespan_s: float, limit: int) -> None:
    assert procs(found({1: 1.0, 2: makespan_s}).limit) == limit


def test_small_steps_add_up() -> None:
    """One more of 24 gives 4 % at best, and yet all 24 run for free."""
    result = found(dict.fromkeys(range(1, 25), 1.0))
    assert procs(result.limit) == 23
    assert procs(result.beyond) == 24


def test_a_step_that_gives_nothing_before_one_that_does_is_named() -> None:
    result = found({1: 1.0, 2: 2.0, 4: 1.0})
    assert procs(result.limit) == 4
    assert [(procs(a), procs(b)) for a, b in result.flat] == [(1, 2)]


def test_a_gain_within_the_spread_of_the_repeats_is_unsure() -> None:
    noisy = found({1: (1.0, 1.1, 1.2), 2: (1.2, 1.7, 2.6)})
    assert [(procs(a), procs(b)) for a, b in noisy.unsure] == [(1, 2)]
    assert found({1: (1.0, 1.01, 1.02), 2: (1.0, 1.01, 1.02)}).unsure == ()


def test_without_repeats_on_both_sides_no_spread_is_claimed() -> None:
    result = found({1: (0.5, 1.0, 2.0), 2: 1.5})
    assert result.unsure == ()
    assert not found({1: (0.5, 1.0, 2.0), 2: 2.0}).may_pay_beyond


def test_what_does_not_pay_may_yet_by_the_spread_of_the_repeats() -> None:
    assert found({1: (1.0, 1.0, 1.0), 2: (1.5, 2.0, 2.5)}).may_pay_beyond
    assert not found({1: (1.0, 1.0, 1.0), 2: (2.0, 2.0, 2.0)}).may_pay_beyond


def test_the_order_of_the_arm_does_not_matter() -> None:
    groups = panel_of(*arm("on", {1: 1.0, 2: 1.0, 4: 1.9})).arm("on")
    assert packing(dict(reversed(groups.items()))) == packing(groups)
