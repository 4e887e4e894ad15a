"""When a sweep stops to add blocks, and what it says of the comparisons that are open."""

import math
from dataclasses import replace

import pytest

from mps_experiments.analysis.gains import Gain
from mps_experiments.analysis.precision import Goal, Progress, progress_line, reason_to_go_on, reason_to_stop
from mps_experiments.analysis.repeats import Group
from tests.records import make_measurement

GOAL = Goal(precision=0.05, budget_s=600.0)


def compared(half_width: float | None, mps: str = "on") -> Gain:
    """Eight processes over one."""
    many, one = make_measurement(procs=8, mps=mps), make_measurement(procs=1, mps=mps)
    return Gain(
        value=1.0,
        interval=None,
        half_width=half_width,
        blocks=4,
        rough=False,
        why="",
        numerator=Group.of([replace(many, name=f"{many.name} repeat=0")]),
        denominator=Group.of([one]),
    )


def progress(
    *half_widths: float | None, blocks: int = 4, elapsed_s: float = 100.0, block_s: float = 60.0
) -> Progress:
    comparisons = [compared(each) for each in half_widths]
    return Progress(comparisons=comparisons, blocks=blocks, elapsed_s=elapsed_s, block_s=block_s)


def test_narrow_intervals_of_four_blocks_are_enough() -> None:
    assert reason_to_stop(GOAL, progress(0.01, 0.05)) == "reached after 4 blocks"


@pytest.mark.parametrize("half_widths", [(0.01, 0.0501), (None,), (math.nan, 0.06)])
def test_one_open_comparison_asks_for_another_block(half_widths: tuple[float | None, ...]) -> None:
    assert reason_to_stop(GOAL, progress(*half_widths)) is None


@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_four_blocks_are_wanted_however_narrow_the_first_ones_are(blocks: int) -> None:
    assert reason_to_stop(GOAL, progress(0.001, blocks=blocks)) is None


@pytest.mark.parametrize(("elapsed_s", "goes_on"), [(540.0, True), (540.1, False), (900.0, False)])
@pytest.mark.parametrize("blocks", [1, 4])
def test_no_block_begins_that_would_end_after_the_budget(
    elapsed_s: float, goes_on: bool, blocks: int
) -> None:
    reason = reason_to_stop(GOAL, progress(0.2, blocks=blocks, elapsed_s=elapsed_s))
    if goes_on:
        assert reason is None
    else:
        passed = f"{elapsed_s / 60:.1f} min have passed"
        assert reason == f"budget_min=10 is used up: {passed}, a block takes up to 1.0 min"


def test_where_nothing_can_be_compared_the_second_block_is_the_last() -> None:
    assert reason_to_stop(GOAL, progress(blocks=1)) is None
    reason = reason_to_stop(GOAL, progress(blocks=2))
    assert reason == "no more blocks: no cell has VALID runs with one process and with several"


def test_what_is_open_is_named_with_its_width_the_widest_first() -> None:
    said = progress_line(GOAL, progress(0.071, 0.03, None, 0.5))
    over = "mps=on procs=8 times=2 over mps=on procs=1 times=2"
    assert said == f"3 of 4 comparisons open at ±5.0 %: {over} no interval; {over} ±50.0 %; {over} ±7.1 %"
    assert progress_line(GOAL, progress(0.03, 0.05)) == "every comparison within ±5.0 %"
    assert progress_line(GOAL, progress()) == "nothing to compare yet"


def test_why_a_block_is_added_is_said() -> None:
    assert reason_to_go_on(GOAL, progress(0.01, blocks=3)) == "t intervals need 4 blocks"
    assert reason_to_go_on(GOAL, progress(0.07, blocks=3)).startswith(
        "1 of 1 comparisons open at ±5.0 %: mps="
    )
    assert reason_to_go_on(GOAL, progress(0.07)).startswith("1 of 1 comparisons open at ±5.0 %: mps=on ")
