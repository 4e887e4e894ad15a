"""The table of metrics: one row for each figure of a run, which MLflow, tables and charts read; pure."""

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from mps_experiments.analysis.numbers import milliseconds, rate, seconds, short
from mps_experiments.analysis.repeats import Group
from mps_experiments.record.measurement import Measurement
from mps_experiments.record.overlap import Activity
from mps_experiments.record.statistics import Statistics
from mps_experiments.record.telemetry import POWER_CAP, TelemetrySummary

_TRACED = "; it comes from the traced pass, which trace.iterations=3 turns on"


class Readings:
    """What the rows read of one run; derived once."""

    def __init__(self, run: Measurement) -> None:
        self.run = run

    @cached_property
    def figures(self) -> Statistics | None:
        """Return the figures of a VALID ordinary run."""
        return self.run.statistics()

    @cached_property
    def gpu(self) -> TelemetrySummary | None:
        """Return the telemetry of the window."""
        return self.run.telemetry_summary()

    @property
    def activity(self) -> Activity | None:
        """Return the traced pass; on the CPU its operations are no kernels."""
        return self.run.activity if self.run.activity and self.run.activity.on_gpu else None

    @property
    def overlap(self) -> Activity | None:
        """Return the traced pass where it tells what ran together."""
        activity = self.activity
        return activity if activity and activity.tells_overlap(self.run.cell.mps == "on") else None

    @property
    def has_reasons(self) -> bool:
        """Tell whether NVML said why the clock was held down."""
        telemetry = self.run.telemetry
        return telemetry is not None and any(s.clock_event_reasons is not None for s in telemetry.gpu)

    @property
    def energy_j(self) -> float | None:
        """Return the energy of the window."""
        return self.gpu.energy_j if self.gpu else None


Read = Callable[[Readings], float | None]


@dataclass(frozen=True, kw_only=True)
class Chart:
    """How a metric is drawn over the number of processes.

    Attributes:
        name: Of the file.
        axis: Text of the upright axis; ``{item}`` is the word for one item.
        top: Upper end of that axis; None for what the values need.
        comes_from: What it takes to have it, for those who have it not.
    """

    name: str
    axis: str
    top: float | None
    comes_from: str


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One figure of a run.

    Attributes:
        name: Its key in MLflow.
        unit: As it stands behind a value.
        title: For people.
        read: Returns the value of a run; None where it is not known.
        better: Which direction is an improvement; empty where neither is.
        heading: Of its column in the table of all figures; empty for none. ``{item}`` as in a chart.
        pooled: Returns the value of a cell; None for the median over its runs.
        text: Writes a value, without the unit.
        chart: How it is drawn; None for no chart.
        is_logged: Whether MLflow gets it.
    """

    name: str
    unit: str
    title: str
    read: Read
    better: Literal["higher", "lower", ""] = ""
    heading: str = ""
    pooled: Callable[[Group], float | None] | None = None
    text: Callable[[float], str] = short
    chart: Chart | None = None
    is_logged: bool = True

    def of(self, group: Group) -> float | None:
        """Return the value of a cell; None if no run has one."""
        if self.pooled:
            return self.pooled(group)
        values = [value for m in group.measurements if (value := self.read(Readings(m))) is not None]
        return statistics.median(values) if values else None

    def shown(self, group: Group) -> str:
        """Return the value of a cell as text; empty if no run has one."""
        value = self.of(group)
        return "" if value is None else self.text(value)


def _of_figures(
    name: str,
    unit: str,
    title: str,
    better: Literal["higher", "lower"],
    read: Callable[[Statistics], float | None],
    heading: str = "",
    text: Callable[[float], str] = short,
) -> Metric:
    def of_run(readings: Readings) -> float | None:
        return read(readings.figures) if readings.figures else None

    return Metric(name=name, unit=unit, title=title, better=better, read=of_run, heading=heading, text=text)


def _percentile(percent: int, title: str, read: Callable[[Statistics], float | None]) -> Metric:
    """Make the row of a percentile, which is pooled over the blocks of a cell."""
    return replace(
        _of_figures(f"latency/p{percent}_ms", "ms", title, "lower", lambda f: _times(read(f), 1e3)),
        heading=f"p{percent} ms",
        pooled=lambda group: _times(group.latencies.percentile_s(percent), 1e3),
        text=lambda value_ms: milliseconds(value_ms / 1e3),
    )


def _of_gpu(name: str, unit: str, title: str, read: Callable[[TelemetrySummary], float | None]) -> Metric:
    return Metric(name=name, unit=unit, title=title, read=lambda r: read(r.gpu) if r.gpu else None)


def _of_trace(name: str, unit: str, title: str, read: Callable[[Activity], float | None]) -> Metric:
    return Metric(name=name, unit=unit, title=title, read=lambda r: read(r.activity) if r.activity else None)


def _of_overlap(name: str, unit: str, title: str, read: Callable[[Activity], float]) -> Metric:
    return Metric(name=name, unit=unit, title=title, read=lambda r: read(r.overlap) if r.overlap else None)


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _interval(end: int) -> Callable[[Statistics], float | None]:
    return lambda f: f.throughput_interval_per_s[end] if f.throughput_interval_per_s else None


def _per_worker(read: Callable[[Activity], float]) -> Callable[[Activity], float]:
    return lambda a: read(a) / len(a.workers)


def _energy_per_item_j(r: Readings) -> float | None:
    items = r.figures.throughput_per_s * r.figures.makespan_s if r.figures else 0.0
    return _times(r.energy_j, 1 / items) if items else None


def _power_w(r: Readings) -> float | None:
    """Return energy over time; NVML's power, an average of the last second that lags, where it is unknown."""
    if r.figures and r.energy_j is not None:
        return r.energy_j / r.figures.makespan_s
    return r.gpu.mean.get("power_w") if r.gpu else None


def _overlap_percent(r: Readings) -> float | None:
    return 100 * r.overlap.overlap_share if r.overlap and r.run.cell.procs > 1 else None


METRICS = (
    _of_figures("makespan_s", "s", "makespan", "lower", lambda f: f.makespan_s, "makespan s", seconds),
    _of_figures(
        "throughput_per_s",
        "items/s",
        "throughput",
        "higher",
        lambda f: f.throughput_per_s,
        "{item}s/s",
        rate,
    ),
    _of_figures("throughput_low_per_s", "items/s", "throughput, low end", "higher", _interval(0)),
    _of_figures("throughput_high_per_s", "items/s", "throughput, high end", "higher", _interval(1)),
    _of_figures("start_skew_ms", "ms", "start skew", "lower", lambda f: f.start_skew_s * 1e3),
    _of_figures("latency/mean_ms", "ms", "mean latency", "lower", lambda f: f.latency_mean_s * 1e3),
    _percentile(50, "median latency", lambda f: f.latency_p50_s),
    _percentile(95, "latency p95", lambda f: f.latency_p95_s),
    _percentile(99, "latency p99", lambda f: f.latency_p99_s),
    _of_figures("latency/max_ms", "ms", "longest latency", "lower", lambda f: f.latency_max_s * 1e3),
    Metric(
        name="overhead/total_s", unit="s", title="overhead", read=lambda r: r.run.overhead_s(), better="lower"
    ),
    _of_gpu("gpu/energy_j", "J", "energy", lambda s: s.energy_j),
    Metric(
        name="overlap",
        unit="%",
        title="Overlap of the workers on the GPU",
        better="higher",
        read=_overlap_percent,
        heading="overlap %",
        chart=Chart(
            name="overlap", axis="% of busy time with two workers or more", top=100, comes_from=_TRACED
        ),
        is_logged=False,
    ),
    Metric(
        name="busy",
        unit="%",
        title="Share of time in which the GPU ran anything",
        read=lambda r: 100 * r.activity.busy_share if r.activity else None,
        heading="GPU busy %",
        chart=Chart(name="busy", axis="% of the traced pass", top=100, comes_from=_TRACED),
        is_logged=False,
    ),
    Metric(
        name="power_w",
        unit="W",
        title="Power",
        read=_power_w,
        heading="power W",
        chart=Chart(
            name="power",
            axis="mean power in the window, W",
            top=None,
            comes_from=" with readings of the GPU's power",
        ),
        is_logged=False,
    ),
    Metric(
        name="gpu/energy_per_item_j",
        unit="J",
        title="Energy of one item",
        better="lower",
        read=_energy_per_item_j,
        heading="J per {item}",
        chart=Chart(
            name="energy",
            axis="J per {item}",
            top=None,
            comes_from=" with readings of the GPU's energy counter",
        ),
    ),
    Metric(
        name="sm_activity",
        unit="%",
        title="SM activity",
        read=lambda r: _times(r.gpu.mean.get("sm_activity"), 100) if r.gpu else None,
        heading="SM activity %",
        is_logged=False,
    ),
    _of_gpu("gpu/power_mean_w", "W", "power read", lambda s: s.mean.get("power_w")),
    _of_gpu("gpu/utilization_mean", "", "utilization", lambda s: s.mean.get("utilization")),
    _of_gpu("gpu/sm_activity_mean", "", "SM activity", lambda s: s.mean.get("sm_activity")),
    _of_gpu("gpu/sm_occupancy_mean", "", "SM occupancy", lambda s: s.mean.get("sm_occupancy")),
    _of_gpu("gpu/dram_activity_mean", "", "DRAM activity", lambda s: s.mean.get("dram_activity")),
    _of_gpu("gpu/sm_clock_mean_mhz", "MHz", "SM clock", lambda s: s.mean.get("sm_clock_mhz")),
    _of_gpu("gpu/sm_clock_min_mhz", "MHz", "lowest SM clock", lambda s: s.sm_clock_min_mhz),
    _of_gpu("gpu/memory_clock_mean_mhz", "MHz", "memory clock", lambda s: s.mean.get("memory_clock_mhz")),
    _of_gpu("gpu/memory_used_max_mib", "MiB", "memory", lambda s: _times(s.memory_used_max_bytes, 2**-20)),
    Metric(
        name="gpu/throttled_share",
        unit="",
        title="throttled",
        better="lower",
        read=lambda r: r.gpu.throttled_share if r.gpu and r.has_reasons else None,
    ),
    Metric(
        name="gpu/power_capped_share",
        unit="",
        title="held down by the power limit",
        better="lower",
        read=lambda r: r.gpu.reason_shares.get(POWER_CAP, 0.0) if r.gpu and r.has_reasons else None,
    ),
    _of_trace("trace/gpu_busy_share", "", "GPU busy", lambda a: a.busy_share),
    _of_overlap("trace/overlap_share", "", "overlap", lambda a: a.overlap_share),
    _of_overlap("trace/mean_active_workers", "", "workers active", lambda a: a.mean_active_workers),
    _of_trace("trace/gaps_per_s", "1/s", "gaps", lambda a: a.gaps_per_s),
    _of_trace("trace/gap_p50_us", "us", "median gap", lambda a: a.gap_p50_s * 1e6),
    _of_trace(
        "trace/kernel_time_per_iteration_ms",
        "ms",
        "kernels of one iteration",
        _per_worker(lambda a: sum(w.operations_s for w in a.workers) * 1e3),
    ),
    _of_trace(
        "trace/kernels_per_iteration",
        "",
        "kernels in one iteration",
        _per_worker(lambda a: sum(w.operations for w in a.workers)),
    ),
    _of_trace(
        "trace/behind_others_ms",
        "ms",
        "behind other workers",
        _per_worker(lambda a: sum(w.behind_others_s for w in a.workers) * 1e3),
    ),
    _of_trace(
        "trace/waiting_idle_ms",
        "ms",
        "waiting while the GPU was idle",
        _per_worker(lambda a: sum(w.waiting_idle_s for w in a.workers) * 1e3),
    ),
    _of_trace(
        "trace/iteration_ms",
        "ms",
        "traced iteration",
        _per_worker(lambda a: sum(w.iteration_s for w in a.workers) * 1e3),
    ),
)
BY_NAME = {metric.name: metric for metric in METRICS}
SHOWN = tuple(metric for metric in METRICS if metric.heading)
CHARTED = tuple((metric, metric.chart) for metric in METRICS if metric.chart)


def logged_values(run: Measurement) -> dict[str, float]:
    """Return the value of each row that MLflow gets and that this run tells."""
    readings = Readings(run)
    values = {metric.name: metric.read(readings) for metric in METRICS if metric.is_logged}
    return {name: value for name, value in values.items() if value is not None and math.isfinite(value)}
