"""Numbers of a panel as series over the number of processes; pure."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mps_experiments.analysis.numbers import short
from mps_experiments.analysis.panels import ARMS, Panel
from mps_experiments.analysis.repeats import Group

_LABELS = {"off": "MPS off (time-sliced)", "on": "MPS on"}


@dataclass(frozen=True, kw_only=True)
class Series:
    """One line of a chart: a value for each number of processes, in ascending order.

    Attributes:
        stratum: What sets it apart from the other lines of its arm; empty if it is the only one.
        errors: How far each value reaches down and up, shape ``(2, len(counts))``; None if unknown.
    """

    mps: str
    stratum: str
    label: str
    counts: tuple[int, ...]
    values: tuple[float, ...]
    errors: tuple[tuple[float, ...], tuple[float, ...]] | None = None


def arm_series(
    panel: Panel,
    value_of: Callable[[Group], float | None],
    range_of: Callable[[Group], tuple[float, float] | None] = lambda _: None,
) -> list[Series]:
    """Return a series for each arm of each stratum that has a value at the panel's iterations."""
    found = []
    for stratum, mps in itertools.product(panel.strata, ARMS):
        points = [
            (procs, value, range_of(group))
            for procs, group in stratum.arm(mps).items()
            if stratum.times == panel.times and (value := value_of(group)) is not None
        ]
        if points:
            found.append(_series(stratum, mps, points))
    return found


def said(panel: Panel, series: Sequence[Series], unit: str) -> str:
    """Return the values in words."""
    return "; ".join(f"{arm_name(panel, each.mps, each.stratum)}: {_points(each, unit)}" for each in series)


def arm_name(panel: Panel, mps: str, stratum: str) -> str:
    """Return what a line is called where there is little room."""
    return " ".join(filter(None, (mps if panel.on_gpu else "CPU", stratum)))


def scoped(panel: Panel, title: str) -> str:
    """Return a title with the iterations that a chart is of, where there are others."""
    return f"{title} (times={panel.times})" if panel.other_times else title


def _points(series: Series, unit: str) -> str:
    points = zip(series.counts, series.values, strict=True)
    return ", ".join(f"{count} {short(value)}{unit}" for count, value in points)


def _series(
    panel: Panel, mps: str, points: Sequence[tuple[int, float, tuple[float, float] | None]]
) -> Series:
    known = any(reach is not None for *_, reach in points)
    reaches = [(value, reach or (value, value)) for _, value, reach in points]
    errors = (
        tuple(max(value - low, 0.0) for value, (low, _) in reaches),
        tuple(max(high - value, 0.0) for value, (_, high) in reaches),
    )
    return Series(
        mps=mps,
        stratum=panel.stratum,
        label=", ".join(filter(None, (_LABELS[mps] if panel.on_gpu else "on the CPU", panel.stratum))),
        counts=tuple(procs for procs, *_ in points),
        values=tuple(value for _, value, _ in points),
        errors=errors if known else None,
    )
