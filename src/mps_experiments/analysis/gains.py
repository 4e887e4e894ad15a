"""Compute what packing gains, and the smallest difference that would have shown; pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mps_experiments.analysis.comparison import groups, output_refusal
from mps_experiments.analysis.estimates import Estimate, compare, throughput
from mps_experiments.analysis.keys import comparison_keys, frozen
from mps_experiments.analysis.repeats import Group
from mps_experiments.record.measurement import Measurement


@dataclass(frozen=True, kw_only=True)
class Gain(Estimate):
    """Throughput of one cell over that of another; see `Estimate` for the numbers."""

    numerator: Group
    denominator: Group

    @classmethod
    def between(cls, numerator: Group, denominator: Group) -> "Gain":
        """Divide the throughputs of two cells."""
        found = compare(numerator, denominator, throughput)
        return cls(numerator=numerator, denominator=denominator, **vars(found))

    @property
    def name(self) -> str:
        """Name what is compared, in the words of the command line."""
        many, one = self.numerator.first.cell, self.denominator.first.cell
        if many.mps != one.mps:
            return f"procs={many.procs}: mps=on over mps=off"
        return f"mps={many.mps}: procs={many.procs} over procs={one.procs}"


def gains(measurements: Sequence[Measurement]) -> list[Gain]:
    """Compare each cell of several processes with one process and, under MPS, with as many without."""
    every = groups(measurements)
    cells = {_place(group.first): group for group in every}
    found = []
    for group in every:
        cell = group.first.cell
        if cell.procs == 1:
            continue
        places = [_place(group.first, procs=1)]
        if cell.mps == "on":
            places.append(_place(group.first, mps="off"))
        partners = [cells[place] for place in places if place in cells]
        found += [Gain.between(group, each) for each in partners if not output_refusal(group, each)]
    return found


def _place(m: Measurement, **other: object) -> str:
    return frozen(comparison_keys(m) | {"procs": m.cell.procs} | other)


@dataclass(frozen=True, kw_only=True)
class Sensitivity:
    """The differences that a sweep could have shown, relative; None where that is unknown.

    Attributes:
        twins: The largest difference of the throughputs of two equal runs (A/A).
        smallest: The smallest difference that would have shown in every comparison that has an interval.
        comparisons: How many comparisons there are.
        without_interval: How many of them have none.
    """

    twins: float | None
    smallest: float | None
    comparisons: int
    without_interval: int


def sensitivity(measurements: Sequence[Measurement]) -> Sensitivity:
    """Derive it from pairs of equal runs and from the widest interval of the gains.

    The difference of two equal runs is that of a single block. Over n blocks it shrinks by the square root of
    n.
    """
    twins = [_log_difference(twin, m) for twin in measurements for m in _equals(twin, measurements)]
    found = gains(measurements)
    blocks = min((each.blocks for each in found), default=1) or 1
    halves = [math.log1p(each.half_width) for each in found if each.half_width is not None]
    without_interval = len(found) - len(halves)
    halves += [max(twins) / math.sqrt(blocks)] if twins else []
    return Sensitivity(
        twins=math.expm1(max(twins)) if twins else None,
        smallest=math.expm1(max(halves)) if halves else None,
        comparisons=len(found),
        without_interval=without_interval,
    )


def _equals(twin: Measurement, measurements: Sequence[Measurement]) -> list[Measurement]:
    """List a twin's first runs; where its own sweep has none, as after resume, those of others."""
    if not twin.cell.is_twin:
        return []
    found = [m for m in measurements if _is_pair(twin, m)]
    return [m for m in found if m.sweep_id == twin.sweep_id] or found


def _is_pair(twin: Measurement, m: Measurement) -> bool:
    return (
        m.tells_of_its_cell
        and twin.has_figures
        and (m.cell.procs, m.cell.repeat) == (twin.cell.procs, twin.cell.repeat)
        and frozen(comparison_keys(m)) == frozen(comparison_keys(twin))
    )


def _log_difference(one: Measurement, other: Measurement) -> float:
    values = [figures.throughput_per_s for m in (one, other) if (figures := m.statistics())]
    return abs(math.log(values[0] / values[1]))
