"""The charts of one panel; each is left out, with the reason, where it would show a single point."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mps_experiments.analysis.figures import Series, arm_series, said, scoped
from mps_experiments.analysis.metrics import CHARTED, Metric
from mps_experiments.analysis.metrics import Chart as MetricChart
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
)
from mps_experiments.report.latency import latency_chart

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TWO_COUNTS = "needs VALID runs with two numbers of processes or more"
_INTERVAL = "Bars: interval of the ratio, of 95 % from four blocks on, rough below."
_RANGE = "Bars: lowest to highest block, around the median; of a single block what happened within it."
_NO_INTERVAL = "No bars: the windows are too short for intervals."
_MEDIAN = "Median over the blocks."


def charts(panel: Panel, prefix: str = "") -> list[Chart | NoChart]:
    """Draw all charts of a panel.

    Args:
        panel: What is shown.
        prefix: Put before the name of each, where a page has several panels.
    """
    return [
        *(drawer(panel, prefix) for drawer in (_ratio, _throughput, latency_chart)),
        *(_metric(panel, prefix, *row) for row in CHARTED),
    ]


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


def _metric(panel: Panel, prefix: str, metric: Metric, shown: MetricChart) -> Chart | NoChart:
    """Draw the median over repeats of what is measured beside times."""
    if not panel.on_gpu:
        return NoChart(title=metric.title, reason="it needs a GPU")
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
