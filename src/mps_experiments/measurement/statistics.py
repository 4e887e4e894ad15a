"""What follows from the samples of all workers of one run."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mps_experiments.measurement.samples import WorkerSamples


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """Derived figures of one run; latencies are over all iterations of all workers.

    Attributes:
        makespan_s: Last worker's end minus first worker's start.
        throughput_per_s: Iterations of all workers, summed, divided by the makespan.
        start_skew_s: Last worker's start minus first worker's start.
        common_window_s: From the last worker's start to the first worker's end; below 0 without overlap.
        elapsed_s: Each worker's own time, by rank.
    """

    makespan_s: float
    throughput_per_s: float
    start_skew_s: float
    common_window_s: float
    latency_mean_s: float
    latency_p50_s: float
    latency_p95_s: float
    latency_p99_s: float
    latency_max_s: float
    elapsed_s: tuple[float, ...]


def summarise(workers: Sequence[WorkerSamples]) -> Statistics:
    """Derive the figures of one run.

    Percentiles interpolate linearly between order statistics (Hyndman and Fan 1996, definition 7, which is
    NumPy's default).

    Raises:
        ValueError: If there is no worker or a worker without a finished iteration.
    """
    if not workers or not all(worker.latencies_ns for worker in workers):
        raise ValueError("statistics need at least one finished iteration of every worker")
    start, end = whole_window_ns(workers)
    window_start, window_end = common_window_ns(workers)
    latencies = np.concatenate([worker.latencies_s() for worker in workers])
    p50, p95, p99 = (float(value) for value in np.percentile(latencies, (50, 95, 99)))
    makespan_s = (end - start) / 1e9
    return Statistics(
        makespan_s=makespan_s,
        throughput_per_s=len(latencies) / makespan_s,
        start_skew_s=(window_start - start) / 1e9,
        common_window_s=(window_end - window_start) / 1e9,
        latency_mean_s=float(latencies.mean()),
        latency_p50_s=p50,
        latency_p95_s=p95,
        latency_p99_s=p99,
        latency_max_s=float(latencies.max()),
        elapsed_s=tuple(worker.elapsed_s for worker in workers),
    )


def whole_window_ns(workers: Sequence[WorkerSamples]) -> tuple[int, int]:
    """From the first worker's start to the last worker's end: the makespan."""
    return min(w.start_ns for w in workers), max(w.end_ns for w in workers)


def common_window_ns(workers: Sequence[WorkerSamples]) -> tuple[int, int]:
    """From the last worker's start to the first worker's end: when all of them were being measured."""
    return max(w.start_ns for w in workers), min(w.end_ns for w in workers)
