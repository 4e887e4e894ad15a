"""The table of metrics: one row for each figure of a run, which MLflow, tables and the export read; pure."""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Generic, TypeVar

from mps_experiments.analysis.numbers import milliseconds, rate, seconds, short
from mps_experiments.analysis.repeats import Group
from mps_experiments.record.measurement import Measurement
from mps_experiments.record.overlap import Activity, WorkerActivity
from mps_experiments.record.statistics import Statistics
from mps_experiments.record.telemetry import POWER_CAP, TelemetrySummary

Part = TypeVar("Part")


class Readings:
    """The parts of one run that rows read; derived once."""

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
    def reasons(self) -> TelemetrySummary | None:
        """Return the telemetry where NVML said why the clock was held down."""
        telemetry = self.run.telemetry
        told = telemetry is not None and any(s.clock_event_reasons is not None for s in telemetry.gpu)
        return self.gpu if told else None

    @property
    def energy_j(self) -> float | None:
        """Return the energy of the window."""
        return self.gpu.energy_j if self.gpu else None


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One figure of a run.

    Attributes:
        name: Its key in MLflow.
        unit: As it stands behind a value.
        title: For people.
        read: Returns the value of a run; None where it is not known.
        heading: Of its column in the table of cells; empty for none. ``{item}`` is the word for one item.
        over_runs: Makes the values of a cell's runs its own value: the median, or for an extreme the extreme.
        pooled: Returns the value of a cell from all its runs together; None for `over_runs`.
        text: Writes a value, without the unit.
        shown_factor: From the value that `read` returns and MLflow gets to that of tables.
    """

    name: str
    unit: str
    title: str
    read: Callable[[Readings], float | None]
    heading: str = ""
    over_runs: Callable[[Sequence[float]], float] = statistics.median
    pooled: Callable[[Group], float | None] | None = None
    text: Callable[[float], str] = short
    shown_factor: float = 1.0

    def of(self, group: Group) -> float | None:
        """Return the value of a cell; None if no run has one."""
        if self.pooled:
            return self.pooled(group)
        values = [value for m in group.measurements if (value := self.read(Readings(m))) is not None]
        return self.shown_factor * self.over_runs(values) if values else None

    def shown(self, group: Group) -> str:
        """Return the value of a cell as text; empty if no run has one."""
        value = self.of(group)
        return "" if value is None else self.text(value)


class _Rows(Generic[Part]):
    """Makes rows that read one part of a run; they tell nothing where a run lacks it."""

    def __init__(self, part_of: Callable[[Readings], Part | None]) -> None:
        self._part_of = part_of

    def __call__(
        self, name: str, unit: str, title: str, read: Callable[[Part], float | None], **more: Any
    ) -> Metric:
        def read_run(readings: Readings) -> float | None:
            part = self._part_of(readings)
            return None if part is None else read(part)

        return Metric(name=name, unit=unit, title=title, read=read_run, **more)


_run = _Rows(lambda readings: readings)
_figures = _Rows(lambda readings: readings.figures)
_gpu = _Rows(lambda readings: readings.gpu)
_reasons = _Rows(lambda readings: readings.reasons)
_trace = _Rows(lambda readings: readings.activity)
_overlap = _Rows(lambda readings: readings.overlap)


def _percentile(percent: int, title: str, read: Callable[[Statistics], float | None]) -> Metric:
    """Make the row of a percentile, which is pooled over the blocks of a cell."""
    return _figures(
        f"latency/p{percent}_ms",
        "ms",
        title,
        lambda figures: _times(read(figures), 1e3),
        heading=f"p{percent} ms",
        pooled=lambda group: _times(group.latencies.percentile_s(percent), 1e3),
        text=lambda value_ms: milliseconds(value_ms / 1e3),
    )


def _workers_mean(name: str, unit: str, title: str, read: Callable[[WorkerActivity], float]) -> Metric:
    return _trace(name, unit, title, lambda a: sum(map(read, a.workers)) / len(a.workers))


def _gpu_mean(name: str, unit: str, title: str, reading: str) -> Metric:
    return _gpu(name, unit, title, lambda summary: summary.mean.get(reading))


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _interval_end(name: str, title: str, end: int) -> Metric:
    """Make the row of one end of the interval within a run: it is none of a cell of several runs."""

    def read(figures: Statistics) -> float | None:
        return figures.throughput_interval_per_s[end] if figures.throughput_interval_per_s else None

    return _figures(
        name,
        "items/s",
        title,
        read,
        pooled=lambda group: read(group.figures[0]) if len(group) == 1 else None,
    )


def _energy_per_item_j(r: Readings) -> float | None:
    items = r.figures.throughput_per_s * r.figures.makespan_s if r.figures else 0.0
    return _times(r.energy_j, 1 / items) if items else None


def _power_w(r: Readings) -> float | None:
    """Return energy over time; NVML's power, an average of the last second that lags, where it is unknown."""
    if r.figures and r.energy_j is not None:
        return r.energy_j / r.figures.makespan_s
    return r.gpu.mean.get("power_w") if r.gpu else None


def _overlap_share(r: Readings) -> float | None:
    return r.overlap.overlap_share if r.overlap and r.run.cell.procs > 1 else None


def _kwh_per_million(r: Readings) -> float | None:
    return _times(_energy_per_item_j(r), 1e6 / 3.6e6)


def _cost_per_million(r: Readings) -> float | None:
    """Return what a million items cost at the price that the sweep or the report was given."""
    price = (r.run.config.get("cost") or {}).get("gpu_hour")
    return price * 1e6 / 3600 / r.figures.throughput_per_s if price and r.figures else None


METRICS = (
    _figures("makespan_s", "s", "makespan", lambda f: f.makespan_s, heading="makespan s", text=seconds),
    _figures(
        "throughput_per_s",
        "items/s",
        "throughput",
        lambda f: f.throughput_per_s,
        heading="{item}s/s",
        text=rate,
    ),
    _interval_end("throughput_low_per_s", "throughput, low end within the run", 0),
    _interval_end("throughput_high_per_s", "throughput, high end within the run", 1),
    _figures("start_skew_ms", "ms", "start skew", lambda f: f.start_skew_s * 1e3),
    _figures("latency/mean_ms", "ms", "mean latency", lambda f: f.latency_mean_s * 1e3),
    _percentile(50, "median latency", lambda f: f.latency_p50_s),
    _percentile(95, "latency p95", lambda f: f.latency_p95_s),
    _percentile(99, "latency p99", lambda f: f.latency_p99_s),
    _figures(
        "latency/max_ms",
        "ms",
        "longest latency",
        lambda f: f.latency_max_s * 1e3,
        over_runs=max,
    ),
    _run("overhead/total_s", "s", "overhead", lambda r: r.run.overhead_s()),
    _run(
        "trace/overlap_share",
        "%",
        "Overlap of the processes on the GPU",
        _overlap_share,
        shown_factor=100,
        heading="overlap %",
    ),
    _trace(
        "trace/gpu_busy_share",
        "%",
        "Share of time in which the GPU ran anything",
        lambda a: a.busy_share,
        shown_factor=100,
        heading="GPU busy %",
    ),
    _gpu("gpu/energy_j", "J", "energy", lambda s: s.energy_j),
    _run(
        "gpu/power_w",
        "W",
        "Power",
        _power_w,
        heading="power W",
    ),
    _run(
        "gpu/energy_per_item_j",
        "J",
        "Energy of one item",
        _energy_per_item_j,
        heading="J per {item}",
    ),
    _run("gpu/kwh_per_million_items", "kWh", "energy of a million items", _kwh_per_million),
    _run(
        "cost/per_million_items",
        "",
        "cost of a million items",
        _cost_per_million,
        heading="cost of a million {item}s",
    ),
    _gpu(
        "gpu/sm_activity_mean",
        "%",
        "SM activity",
        lambda s: s.mean.get("sm_activity"),
        shown_factor=100,
        heading="SM activity %",
    ),
    _gpu_mean("gpu/power_mean_w", "W", "power read", "power_w"),
    _gpu_mean("gpu/utilization_mean", "", "utilization", "utilization"),
    _gpu_mean("gpu/sm_occupancy_mean", "", "SM occupancy", "sm_occupancy"),
    _gpu_mean("gpu/dram_activity_mean", "", "DRAM activity", "dram_activity"),
    _gpu_mean("gpu/sm_clock_mean_mhz", "MHz", "SM clock", "sm_clock_mhz"),
    _gpu("gpu/sm_clock_min_mhz", "MHz", "lowest SM clock", lambda s: s.sm_clock_min_mhz, over_runs=min),
    _gpu_mean("gpu/memory_clock_mean_mhz", "MHz", "memory clock", "memory_clock_mhz"),
    _gpu(
        "gpu/memory_used_max_mib",
        "MiB",
        "memory",
        lambda s: _times(s.memory_used_max_bytes, 2**-20),
        over_runs=max,
    ),
    _reasons("gpu/throttled_share", "", "throttled", lambda s: s.throttled_share),
    _reasons("gpu/power_capped_share", "", "power-capped", lambda s: s.reason_shares.get(POWER_CAP, 0.0)),
    _overlap("trace/mean_active_workers", "", "workers active", lambda a: a.mean_active_workers),
    _trace("trace/gaps_per_s", "1/s", "gaps", lambda a: a.gaps_per_s),
    _trace("trace/gap_p50_us", "us", "median gap", lambda a: a.gap_p50_s * 1e6),
    _workers_mean("trace/kernel_time_per_iteration_ms", "ms", "kernel time", lambda w: w.operations_s * 1e3),
    _workers_mean("trace/kernels_per_iteration", "", "kernels per iteration", lambda w: w.operations),
    _workers_mean("trace/behind_others_ms", "ms", "behind other workers", lambda w: w.behind_others_s * 1e3),
    _workers_mean("trace/waiting_idle_ms", "ms", "waiting, GPU idle", lambda w: w.waiting_idle_s * 1e3),
    _workers_mean("trace/iteration_ms", "ms", "traced iteration", lambda w: w.iteration_s * 1e3),
)
BY_NAME = {metric.name: metric for metric in METRICS}
SHOWN = tuple(metric for metric in METRICS if metric.heading)


def priced(run: Measurement, gpu_hour: float) -> Measurement:
    """Return the run at another price of an hour of its GPU."""
    return replace(run, config=run.config | {"cost": {"gpu_hour": gpu_hour}})


def logged_values(run: Measurement) -> dict[str, float]:
    """Return the value of each row that MLflow gets and that this run tells."""
    readings = Readings(run)
    values = {metric.name: metric.read(readings) for metric in METRICS}
    return {name: value for name, value in values.items() if value is not None and math.isfinite(value)}
