"""Numbers of a panel as series over the number of processes; pure."""

import itertools
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mps_experiments.analysis.metrics import shown_values
from mps_experiments.analysis.panels import ARMS, Panel
from mps_experiments.analysis.repeats import Group
from mps_experiments.record.measurement import Measurement

_LABELS = {"off": "MPS off (time-sliced)", "on": "MPS on"}


@dataclass(frozen=True, kw_only=True)
class Series:
    """One line of a chart.

    Attributes:
        stratum: What sets it apart from the other lines of its arm; empty if it is the only one.
        counts: Numbers of processes, ascending.
        values: One for each.
        errors: How far each reaches down and up, shape ``(2, len(counts))``; None if that is unknown.
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


def quantity_series(panel: Panel, name: str) -> list[Series]:
    """Return the median over repeats of a metric."""
    return arm_series(panel, lambda group: median_of(group.measurements, name))


def median_of(runs: Sequence[Measurement], name: str) -> float | None:
    """Median over the runs that have the quantity; None if none has."""
    values = [value for run in runs if (value := shown_values(run)[name]) is not None]
    return statistics.median(values) if values else None


def rate(group: Group) -> str:
    """Return the median throughput, without the unit."""
    value = group.throughput_median_per_s
    return f"{value:.1f}" if value >= 1 else f"{value:.3g}"


def said(panel: Panel, series: Sequence[Series], unit: str) -> str:
    """The values in words."""
    return "; ".join(f"{arm_name(panel, each.mps, each.stratum)}: {_points(each, unit)}" for each in series)


def arm_name(panel: Panel, mps: str, stratum: str = "") -> str:
    """Return what a line is called where there is little room."""
    return " ".join(filter(None, (mps if panel.on_gpu else "CPU", stratum)))


def scoped(panel: Panel, title: str) -> str:
    """A title with what all runs of the chart share."""
    return f"{title} (times={panel.times})"


def short(value: float) -> str:
    """Three digits, or all of a larger number.

    >>> short(0.012345), short(1560.4)
    ('0.0123', '1560')
    """
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


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
