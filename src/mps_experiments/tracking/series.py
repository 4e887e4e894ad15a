"""Turn a run into MLflow's charts: each worker's latency over its iterations, telemetry over time; pure."""

import math
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import NamedTuple

from mps_experiments.record.measurement import Measurement
from mps_experiments.record.telemetry import GpuSample

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


class Point(NamedTuple):
    """One point of a series; `at_ms` is milliseconds since the epoch."""

    name: str
    value: float
    at_ms: int
    step: int


def latency_series(measurement: Measurement) -> Iterator[Point]:
    """Yield each worker's latencies in milliseconds over the number of the iteration; none unless VALID.

    At most 1,000 points for all workers together: where there are more, every so many iterations one.
    """
    measured = [(w.rank, w.samples) for w in measurement.workers if w.samples and w.samples.latencies_ns]
    if not measurement.verdict.is_valid or not measured:
        return
    each = max(1, _MAX_POINTS // len(measured))  # (of more than 1,000 workers the last ones have none)
    telemetry, run_end_ms = measurement.telemetry, round((measurement.started_at + measurement.wall_s) * 1000)
    offset_ns = telemetry.epoch_offset_ns if telemetry is not None else 0
    for rank, samples in measured[:_MAX_POINTS]:
        ends_ns = list(accumulate(samples.latencies_ns, initial=samples.start_ns + offset_ns))[1:]
        for step in range(0, len(ends_ns), math.ceil(len(ends_ns) / each)):
            at_ms = ends_ns[step] // 1_000_000 if offset_ns else run_end_ms
            yield Point(f"by_iteration/worker_{rank}_ms", samples.latencies_ns[step] / 1e6, at_ms, step)


def telemetry_series(measurement: Measurement) -> Iterator[Point]:
    """Yield the GPU's samples over time, thinned out evenly to at most 1,000 points a series."""
    telemetry, gpu = measurement.telemetry, measurement.machine.gpu
    if gpu is None or telemetry is None or not telemetry.gpu:
        return
    for step, sample in enumerate(telemetry.gpu[:: math.ceil(len(telemetry.gpu) / _MAX_POINTS)]):
        at_ms = (sample.at_ns + telemetry.epoch_offset_ns) // 1_000_000
        for name, read in _SERIES.items():
            value, factor = read(sample)
            if value is not None and math.isfinite(value):
                yield Point(f"system/gpu_{gpu.index}_{name}", value * factor, at_ms, step)
