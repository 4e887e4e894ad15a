"""What of a run becomes charts: each worker's latency over its iterations, telemetry over time; pure."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice

from mps_experiments.measurement.telemetry import CoreUse, GpuSample
from mps_experiments.measurement.verdict import Status
from mps_experiments.record import Measurement, WorkerRecord

_MAX_POINTS = 1000  # of the latencies of all workers together; of each series of telemetry
# MLflow's own names where it has one, so that its page of system metrics shows them.
_SERIES: dict[str, Callable[[GpuSample], float | None]] = {
    "utilization_percentage": lambda s: _times(s.utilization, 100),
    "memory_usage_megabytes": lambda s: _times(s.memory_used_bytes, 1e-6),
    "power_usage_watts": lambda s: s.power_w,
    "sm_clock_mhz": lambda s: s.sm_clock_mhz,
    "memory_clock_mhz": lambda s: s.memory_clock_mhz,
    "temperature_celsius": lambda s: s.temperature_c,
    "sm_activity_percentage": lambda s: _times(s.sm_activity, 100),
    "dram_activity_percentage": lambda s: _times(s.dram_activity, 100),
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
    """Each worker's latencies in milliseconds over the number of the iteration; nothing unless VALID.

    At most 1,000 points for all workers together. Where there are more iterations, two series of each
    worker stand for them: of every so many in a row the slowest and the middle one, at their own steps.
    (Of more than 500 workers the last ones have none then.)
    """
    if measurement.verdict.status is Status.VALID:
        yield from islice(_latency_points(measurement), _MAX_POINTS)


def _latency_points(measurement: Measurement) -> Iterator[Point]:
    workers = _measured(measurement)
    stride = _stride(workers)
    for worker in workers:
        prefix = f"by_iteration/worker_{worker.rank}"
        ends_ms = _ends_ms(measurement, worker)
        for name, step, latency_ns in _chosen(_latencies(worker), stride):
            yield Point(name=f"{prefix}{name}_ms", value=latency_ns / 1e6, at_ms=ends_ms[step], step=step)


def latency_tag(measurement: Measurement) -> dict[str, str]:
    """What the series leave out, in words; empty if nothing."""
    stride = _stride(_measured(measurement))
    if stride == 1 or measurement.verdict.status is not Status.VALID:
        return {}
    return {"by_iteration": f"of every {stride} iterations of a worker the slowest and the middle one"}


def _measured(measurement: Measurement) -> list[WorkerRecord]:
    return [worker for worker in measurement.workers if _latencies(worker)]


def _latencies(worker: WorkerRecord) -> Sequence[int]:
    return worker.samples.latencies_ns if worker.samples is not None else ()


def _stride(workers: Sequence[WorkerRecord]) -> int:
    """How many iterations share two points; 1 if each can have its own."""
    counts = [len(_latencies(worker)) for worker in workers]
    if sum(counts) <= _MAX_POINTS:
        return 1
    return -(-max(counts) // max(1, _MAX_POINTS // (2 * len(counts))))


def _chosen(latencies_ns: Sequence[int], stride: int) -> Iterator[tuple[str, int, int]]:
    """Series, step and value; the middle one of an even number is the faster of the two, never their mean."""
    if stride == 1:
        yield from (("", step, latency) for step, latency in enumerate(latencies_ns))
        return
    for first in range(0, len(latencies_ns), stride):
        steps = range(first, min(first + stride, len(latencies_ns)))
        in_order = sorted(steps, key=latencies_ns.__getitem__)
        for name, step in (("_slowest", in_order[-1]), ("_median", in_order[(len(in_order) - 1) // 2])):
            yield name, step, latencies_ns[step]


def _ends_ms(measurement: Measurement, worker: WorkerRecord) -> list[int]:
    """When each iteration ended, by the wall clock; without telemetry only the end of the run is known."""
    latencies_ns = _latencies(worker)
    if measurement.telemetry is None or not measurement.telemetry.epoch_offset_ns or worker.samples is None:
        return [round((measurement.started_at + measurement.wall_s) * 1000)] * len(latencies_ns)
    start_ns = worker.samples.start_ns + measurement.telemetry.epoch_offset_ns
    return [end_ns // 1_000_000 for end_ns in list(accumulate(latencies_ns, initial=start_ns))[1:]]


def telemetry_series(measurement: Measurement) -> Iterator[Point]:
    """The GPU's samples as series, thinned out evenly to at most 1,000 points each; the CPU as one point."""
    telemetry, gpu = measurement.telemetry, measurement.machine.gpu
    if telemetry is None:
        return
    if (used := _cpu_percentage(telemetry.cores)) is not None:
        at_ms = round((measurement.started_at + measurement.wall_s) * 1000)
        yield Point(name="system/cpu_utilization_percentage", value=used, at_ms=at_ms, step=0)
    kept = telemetry.gpu[:: -(-len(telemetry.gpu) // _MAX_POINTS) or 1] if gpu is not None else ()
    for step, sample in enumerate(kept):
        at_ms = (sample.at_ns + telemetry.epoch_offset_ns) // 1_000_000
        for name, read in _SERIES.items():
            if gpu is not None and (value := read(sample)) is not None and math.isfinite(value):
                yield Point(name=f"system/gpu_{gpu.index}_{name}", value=value, at_ms=at_ms, step=step)


def _cpu_percentage(cores: CoreUse | None) -> float | None:
    """Mean use of all cores, by anyone, while the run was measured: what MLflow calls by this name."""
    if cores is None or not cores.busy_s or cores.seconds <= 0:
        return None
    used = sum(cores.busy_s.values()) / (cores.seconds * len(cores.busy_s))
    return 100 * min(used, 1.0)  # the kernel counts in ticks of 10 ms


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor
