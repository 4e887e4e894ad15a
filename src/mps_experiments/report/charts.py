"""Draw the charts of one panel; each is left out, with the reason, where it would show a single point."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from mps_experiments.analysis.figures import Series, arm_name, arm_series, said, scoped
from mps_experiments.analysis.metrics import CHARTED, Metric
from mps_experiments.analysis.metrics import Chart as MetricChart
from mps_experiments.analysis.numbers import short
from mps_experiments.analysis.panels import Panel
from mps_experiments.analysis.repeats import Group
from mps_experiments.report.drawing import (
    GUIDE,
    Chart,
    NoChart,
    all_counts,
    doubling,
    drawn,
    from_zero,
    label,
    lines,
    name_points,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TWO_COUNTS = "needs VALID runs with two numbers of processes or more"
_INTERVAL = "Bars: interval of the ratio, of 95 % from four blocks on, rough below."
_RANGE = "Bars: lowest to highest block, around the median; of a single block what happened within it."
_NO_INTERVAL = "No bars: the windows are too short for intervals."
_MEDIAN = "Median over the blocks."
_NUMBERED = "Numbers: processes. Up is more throughput, left is less latency."
_PERCENTILES = (99, 95, 50)


def charts(panel: Panel, prefix: str = "") -> list[Chart | NoChart]:
    """Draw what the decision rests on.

    Args:
        panel: What is shown.
        prefix: Put before the name of each, where a page has several panels.
    """
    return [drawer(panel, prefix) for drawer in (_throughput, _ratio, _throughput_over_latency)]


def more_charts(panel: Panel, prefix: str = "") -> list[Chart | NoChart]:
    """Draw what the GPU did."""
    return [_metric(panel, prefix, *row) for row in CHARTED] if panel.on_gpu else []


def _ratio(panel: Panel, prefix: str) -> Chart | NoChart:
    series = arm_series(
        panel,
        lambda group: ratio.value if (ratio := panel.ratio(group).overall) else None,
        lambda group: ratio.interval if (ratio := panel.ratio(group).overall) else None,
    )

    def draw(axes: "Axes") -> None:
        counts = all_counts(series)
        doubling(axes)
        axes.plot(counts, counts, **GUIDE, linestyle="-.", label="one after the other")
        free = [1.0] * len(counts)
        axes.plot(counts, free, **GUIDE, linestyle=":", label="ideal: the others run for free")
        lines(axes, series)
        label(axes, series, "time of N / time of one (log scale)")

    note = _INTERVAL if any(each.errors for each in series) else _NO_INTERVAL
    return _chart(panel, f"{prefix}ratio", "Ratio over processes", series, "", draw, note, _TWO_COUNTS)


def _throughput(panel: Panel, prefix: str) -> Chart | NoChart:
    series = arm_series(
        panel,
        lambda group: group.throughput_median_per_s,
        _throughput_range,
    )

    def draw(axes: "Axes") -> None:
        lines(axes, series)
        from_zero(axes)
        ones = [each.values[0] for each in series if each.counts[0] == 1]
        if ones and len(panel.strata) == 1:
            counts, one = all_counts(series), max(ones)
            axes.plot(counts, [one * n for n in counts], **GUIDE, linestyle=":", label="ideal: N times one")
            axes.set_ylim(axes.get_ylim())
            axes.legend()
        label(axes, series, f"{panel.first.cell.item}s/s, all processes")

    note = _RANGE if any(each.errors for each in series) else _NO_INTERVAL
    title = "Total throughput over processes"
    return _chart(panel, f"{prefix}throughput", title, series, "/s", draw, note, _TWO_COUNTS)


def _throughput_range(group: Group) -> tuple[float, float] | None:
    if len(group) > 1:
        return min(group.throughputs_per_s), max(group.throughputs_per_s)
    return group.figures[0].throughput_interval_per_s


def _throughput_over_latency(panel: Panel, prefix: str) -> Chart | NoChart:
    """Draw the throughput of each cell over the highest percentile that two cells of a line have."""
    for percent in _PERCENTILES:
        latencies = arm_series(panel, partial(_latency_ms, percent))
        if any(len(each.counts) > 1 for each in latencies):
            break
    else:
        return NoChart(title="Throughput over latency", reason=_TWO_COUNTS)
    throughputs = arm_series(
        panel,
        lambda group: None if _latency_ms(percent, group) is None else group.throughput_median_per_s,
    )

    def draw(axes: "Axes") -> None:
        lines(axes, throughputs, latencies)
        from_zero(axes)
        axes.set_xlim(0, axes.get_xlim()[1] * 1.05)
        name_points(axes, throughputs, latencies)
        axes.set_xlabel(f"p{percent} latency, ms")
        axes.set_ylabel(f"{panel.first.cell.item}s/s, all processes")

    words = [
        f"{arm_name(panel, up.mps, up.stratum)}: {_pairs(up, along)}"
        for up, along in zip(throughputs, latencies, strict=True)
    ]
    title = scoped(panel, f"Throughput over p{percent} latency")
    return drawn(f"{prefix}throughput-over-latency", title, "; ".join(words), draw, _NUMBERED)


def _pairs(up: Series, along: Series) -> str:
    points = zip(up.counts, up.values, along.values, strict=True)
    return ", ".join(f"{count} {short(rate)}/s at {short(ms)} ms" for count, rate, ms in points)


def _latency_ms(percent: int, group: Group) -> float | None:
    value_s = group.latencies.percentile_s(percent)
    return None if value_s is None else value_s * 1e3


def _metric(panel: Panel, prefix: str, metric: Metric, shown: MetricChart) -> Chart | NoChart:
    """Draw the median over repeats of what is measured beside times."""
    series = arm_series(panel, metric.of)

    def draw(axes: "Axes") -> None:
        lines(axes, series)
        from_zero(axes, shown.top)
        label(axes, series, shown.axis.format(item=panel.first.cell.item))

    why_not, unit = _TWO_COUNTS + shown.comes_from, f" {metric.unit}"
    return _chart(panel, prefix + shown.name, metric.title, series, unit, draw, _MEDIAN, why_not)


def _chart(
    panel: Panel,
    name: str,
    title: str,
    series: Sequence[Series],
    unit: str,
    draw: Callable[["Axes"], None],
    note: str,
    why_not: str,
) -> Chart | NoChart:
    """Draw the chart if some line has two points or more."""
    if not any(len(each.counts) > 1 for each in series):
        return NoChart(title=title, reason=why_not)
    return drawn(name, scoped(panel, title), said(panel, series, unit), draw, note)
