"""Turn a run into MLflow's charts: each worker's latency over its iterations, telemetry over time; pure."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate

from mps_experiments.record.measurement import Measurement
from mps_experiments.record.telemetry import GpuSample
from mps_experiments.record.verdict import Status

_MAX_POINTS = 1000  # of the latencies of all workers together; of each series of telemetry
# MLflow's own names where it has one, so that its page of system metrics shows them.
_SERIES: dict[str, Callable[[GpuSample], tuple[float | None, float]]] = {
    "utilization_percentage": lambda s: (s.utilization, 100),
    "memory_usage_megabytes": lambda s: (s.memory_used_bytes, 1e-6),
    "power_usage_watts": lambda s: (s.power_w, 1),
    "sm_clock_mhz": lambda s: (s.sm_clock_mhz, 1),
    "memory_clock_mhz": lambda s: (s.memory_clock_mhz, 1),
    "temperature_celsius": lambda s: (s.temperature_c, 1),
    "sm_activity_percentage": lambda s: (s.sm_activity, 100),
    "dram_activity_percentage": lambda s: (s.dram_activity, 100),
}


@dataclass(frozen=True, kw_only=True)
class Point:
    """One point of a series.

    Attributes:
        at_ms: Milliseconds since the epoch.
    """

    name: str
    value: float
    at_ms: int
    step: int


def latency_series(measurement: Measurement) -> Iterator[Point]:
    """Yield each worker's latencies in milliseconds over the number of the iteration; none unless VALID.

    At most 1,000 points for all workers together: where there are more, every so many iterations one.
    """
    measured = [(w.rank, w.samples) for w in measurement.workers if w.samples and w.samples.latencies_ns]
    if measurement.verdict.status is not Status.VALID or not measured:
        return
    each = max(1, _MAX_POINTS // len(measured))  # (of more than 1,000 workers the last ones have none)
    telemetry, run_end_ms = measurement.telemetry, _end_ms(measurement)
    offset_ns = telemetry.epoch_offset_ns if telemetry is not None else 0
    for rank, samples in measured[:_MAX_POINTS]:
        ends_ns = accumulate(samples.latencies_ns, initial=samples.start_ns + offset_ns)
        ends_ms = [end_ns // 1_000_000 if offset_ns else run_end_ms for end_ns in list(ends_ns)[1:]]
        for step in range(0, len(ends_ms), math.ceil(len(ends_ms) / each)):
            value = samples.latencies_ns[step] / 1e6
            yield Point(name=f"by_iteration/worker_{rank}_ms", value=value, at_ms=ends_ms[step], step=step)


def telemetry_series(measurement: Measurement) -> Iterator[Point]:
    """Yield the GPU's samples, thinned out evenly to at most 1,000 points a series; the CPU as one point."""
    telemetry, gpu = measurement.telemetry, measurement.machine.gpu
    if telemetry is None:
        return
    cores = telemetry.cores
    if cores is not None and cores.busy_s and cores.seconds > 0:  # of all cores, by anyone: what MLflow shows
        used = 100 * min(sum(cores.busy_s.values()) / (cores.seconds * len(cores.busy_s)), 1.0)
        yield Point(name="system/cpu_utilization_percentage", value=used, at_ms=_end_ms(measurement), step=0)
    if gpu is None or not telemetry.gpu:
        return
    kept = telemetry.gpu[:: math.ceil(len(telemetry.gpu) / _MAX_POINTS)]
    for step, sample in enumerate(kept):
        at_ms = (sample.at_ns + telemetry.epoch_offset_ns) // 1_000_000
        for name, read in _SERIES.items():
            value, factor = read(sample)
            if value is not None and math.isfinite(value):
                full = f"system/gpu_{gpu.index}_{name}"
                yield Point(name=full, value=value * factor, at_ms=at_ms, step=step)


def _end_ms(measurement: Measurement) -> int:
    return round((measurement.started_at + measurement.wall_s) * 1000)
