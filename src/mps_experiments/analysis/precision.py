"""Decide if a sweep has enough blocks: its intervals are narrow enough, or its time is used up. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mps_experiments.analysis.estimates import ENOUGH_BLOCKS
from mps_experiments.analysis.gains import Gain
from mps_experiments.analysis.numbers import width
from mps_experiments.record.measurement import Measurement

_LEAST = 2  # blocks; with fewer, nothing is known of the differences between blocks
Compare = Callable[[Sequence[Measurement]], Sequence[Gain]]


@dataclass(frozen=True, kw_only=True)
class Goal:
    """Goal of adding blocks: intervals within `precision`, or until `budget_s` is used since the start."""

    precision: float
    budget_s: float


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Progress of a sweep: what its answer rests on, blocks done, time used, time of its longest block."""

    comparisons: Sequence[Gain]
    blocks: int
    elapsed_s: float
    block_s: float

    def open_for(self, goal: Goal) -> list[Gain]:
        """List the comparisons whose intervals are too wide, the widest first."""
        found = [each for each in self.comparisons if _half_width(each) > goal.precision]
        return sorted(found, key=_half_width, reverse=True)


def reason_to_stop(goal: Goal, progress: Progress) -> str | None:
    """Return the reason to add no further block; None if one is to be added.

    A sweep without comparisons stops after two blocks, one with narrow intervals after four, since t
    intervals begin there. The budget may end either earlier.
    """
    if progress.blocks >= _LEAST and not progress.comparisons:
        return "no more blocks: no cell has VALID runs with one process and with several"
    if progress.blocks >= ENOUGH_BLOCKS and not progress.open_for(goal):
        return f"reached after {progress.blocks} blocks"
    if progress.elapsed_s + progress.block_s > goal.budget_s:
        return (
            f"budget_min={goal.budget_s / 60:g} is used up: {progress.elapsed_s / 60:.1f} min have passed, "
            f"a block takes up to {progress.block_s / 60:.1f} min"
        )
    return None


def reason_to_go_on(goal: Goal, progress: Progress) -> str:
    """Return the reason to add a block."""
    if progress.blocks < ENOUGH_BLOCKS and not progress.open_for(goal):
        return f"t intervals need {ENOUGH_BLOCKS} blocks"
    return progress_line(goal, progress)


def progress_line(goal: Goal, progress: Progress) -> str:
    """Name the comparisons that are open, and the widths of their intervals."""
    found, count = progress.open_for(goal), len(progress.comparisons)
    if not count:
        return "nothing to compare yet"
    if not found:
        return f"every comparison within {width(goal.precision, digits=1)}"
    wide = "; ".join(f"{_name(each)} {_shown(each)}" for each in found)
    return f"{len(found)} of {count} comparisons open at {width(goal.precision, digits=1)}: {wide}"


def _half_width(comparison: Gain) -> float:
    return float("inf") if comparison.half_width is None else comparison.half_width


def _shown(comparison: Gain) -> str:
    half = comparison.half_width
    return "no interval" if half is None else width(half, digits=1)


def _name(comparison: Gain) -> str:
    return f"{comparison.numerator.first.cell_name} over {comparison.denominator.first.cell_name}"
