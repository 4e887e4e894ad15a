"""Draw the charts of one panel; none of a single point."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from mps_experiments.analysis.figures import Series, arm_name, arm_series, said, scoped
from mps_experiments.analysis.numbers import short
from mps_experiments.analysis.panels import Panel
from mps_experiments.analysis.repeats import Group
from mps_experiments.report.drawing import (
    GUIDE,
    Chart,
    all_counts,
    doubling,
    drawn,
    from_zero,
    label,
    legend,
    lines,
    name_points,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_INTERVAL = "Bars: interval of the ratio, of 95 % from four blocks on, rough below."
_RANGE = "Bars: lowest to highest block, around the median; of a single block what happened within it."
_NO_INTERVAL = "No bars: the windows are too short for intervals."
_NUMBERED = "Numbers: processes. Up is more throughput, left is less latency."
_PERCENTILES = (99, 95, 50)


def charts(panel: Panel, prefix: str = "") -> Iterator[Chart]:
    """Yield throughput, ratio, and throughput over latency, each where a line of it has two points or more.

    Args:
        panel: What is shown.
        prefix: Put before the name of each, where a page has several panels.
    """
    throughputs = arm_series(panel, lambda group: group.throughput_median_per_s, _throughput_range)
    ratios = arm_series(
        panel,
        lambda group: ratio.value if (ratio := panel.ratio(group).told.overall) else None,
        lambda group: ratio.interval if (ratio := panel.ratio(group).told.overall) else None,
    )
    if _is_line(throughputs):
        yield _throughput(panel, prefix, throughputs)
    if _is_line(ratios):
        yield _ratio(panel, prefix, ratios)
    for percent in _PERCENTILES:
        latencies = arm_series(panel, partial(_latency_ms, percent))
        if _is_line(latencies):
            yield _throughput_over_latency(panel, prefix, percent, latencies)
            return


def _is_line(series: Sequence[Series]) -> bool:
    return any(len(each.counts) > 1 for each in series)


def _throughput(panel: Panel, prefix: str, series: Sequence[Series]) -> Chart:
    def draw(axes: "Axes") -> None:
        lines(axes, series)
        from_zero(axes)
        ones = [each.values[0] for each in series if each.counts[0] == 1]
        if ones and len(panel.strata) == 1:
            counts, one = all_counts(series), max(ones)
            axes.plot(counts, [one * n for n in counts], **GUIDE, linestyle=":", label="ideal: N times one")
            axes.set_ylim(axes.get_ylim())
        label(axes, series, _throughput_text(panel))

    note = _RANGE if any(each.errors for each in series) else _NO_INTERVAL
    title = scoped(panel, "Throughput over processes")
    return drawn(f"{prefix}throughput", title, said(panel, series, "/s"), draw, note)


def _throughput_text(panel: Panel) -> str:
    return f"{panel.first.cell.item}s/s, all processes"


def _throughput_range(group: Group) -> tuple[float, float] | None:
    if len(group) > 1:
        return min(group.throughputs_per_s), max(group.throughputs_per_s)
    return group.figures[0].throughput_interval_per_s


def _ratio(panel: Panel, prefix: str, series: Sequence[Series]) -> Chart:
    def draw(axes: "Axes") -> None:
        counts = all_counts(series)
        doubling(axes)
        axes.plot(counts, counts, **GUIDE, linestyle="-.", label="one after the other")
        free = [1.0] * len(counts)
        axes.plot(counts, free, **GUIDE, linestyle=":", label="ideal: the others run for free")
        lines(axes, series)
        label(axes, series, "time of N / time of one (log scale)")

    note = _INTERVAL if any(each.errors for each in series) else _NO_INTERVAL
    title = scoped(panel, "Ratio over processes")
    return drawn(f"{prefix}ratio", title, said(panel, series, ""), draw, note)


def _latency_ms(percent: int, group: Group) -> float | None:
    value_s = group.latencies.percentile_s(percent)
    return None if value_s is None else value_s * 1e3


def _throughput_over_latency(panel: Panel, prefix: str, percent: int, latencies: Sequence[Series]) -> Chart:
    """Draw it over the highest percentile that two cells of a line have."""
    throughputs = arm_series(
        panel,
        lambda group: None if _latency_ms(percent, group) is None else group.throughput_median_per_s,
    )

    def draw(axes: "Axes") -> None:
        lines(axes, throughputs, latencies)
        from_zero(axes)
        axes.set_xlim(0, axes.get_xlim()[1] * 1.05)
        name_points(axes, throughputs, latencies)
        legend(axes, throughputs)
        axes.set_xlabel(f"p{percent} latency, ms")
        axes.set_ylabel(_throughput_text(panel))

    words = [
        f"{arm_name(panel, up.mps, up.stratum)}: {_pairs(up, along)}"
        for up, along in zip(throughputs, latencies, strict=True)
    ]
    title = scoped(panel, f"Throughput over p{percent} latency")
    return drawn(f"{prefix}throughput-over-latency", title, "; ".join(words), draw, _NUMBERED)


def _pairs(up: Series, along: Series) -> str:
    points = zip(up.counts, up.values, along.values, strict=True)
    return ", ".join(f"{count} {short(rate)}/s at {short(ms)} ms" for count, rate, ms in points)
