"""Figures of one run, from the samples of all its workers."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mps_experiments.record.latencies import Latencies
from mps_experiments.record.samples import WorkerSamples
from mps_experiments.record.throughput import Throughput, whole_iterations, worker_rate


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """Derived figures of one run; latencies are of all workers.

    Attributes:
        makespan_s: Last worker's end minus first worker's start, over the workers' own iterations.
        pace_s: Mean time per iteration of the slowest worker, from the first start: makespan divided by
            ``times`` where all workers do the same number. The ratio compares this.
        throughput_per_s: Items (images) per second. With ``window=kept``, the sum over workers of whole
            iterations inside the common window; with ``window=fixed``, all of them divided by the makespan.
        throughput_interval_per_s: 95 % interval of the throughput within this run, from its course in the
            common window (`throughput.Throughput`); None where the window is too short.
        rates_per_s: Iterations per second of each worker, by rank.
        start_skew_s: Last worker's start minus first worker's start.
        common_window_s: Time in which all workers were at work: from the last worker's start until the last
            (``window=kept``) or first (``window=fixed``) is done; below 0 without overlap.
        latencies: The latencies behind the percentiles, to be pooled with those of other runs.
        latency_p95_s: None with fewer than 100 samples.
        latency_p99_s: None with fewer than 1,000 samples.
        latency_p50_by_worker_s: Median latency of each worker's own iterations, by rank.
        elapsed_s: Each worker's own time, by rank.
    """

    makespan_s: float
    pace_s: float
    throughput_per_s: float
    throughput_interval_per_s: tuple[float, float] | None
    rates_per_s: tuple[float, ...]
    start_skew_s: float
    common_window_s: float
    latencies: Latencies = field(compare=False)
    latency_mean_s: float
    latency_p50_s: float
    latency_p95_s: float | None
    latency_p99_s: float | None
    latency_max_s: float
    latency_p50_by_worker_s: tuple[float, ...]
    elapsed_s: tuple[float, ...]


def summarise(workers: Sequence[WorkerSamples], kept: bool, items: int = 1) -> Statistics:
    """Derive the figures of one run.

    Args:
        workers: Samples by rank.
        kept: True if workers that were done kept up the load until all were.
        items: Items that one iteration processes.

    Raises:
        ValueError: If there is no worker or a worker without a finished iteration.
    """
    if not workers or not all(worker.latencies_ns for worker in workers):
        raise ValueError("statistics need at least one finished iteration of every worker")
    start, end = whole_window_ns(workers)
    window = common_window_ns(workers, kept)
    counted = window if kept else (start, end)
    pool = np.concatenate([whole_iterations(worker, counted) for worker in workers])
    latencies = Latencies.of(pool / 1e9)
    median_s = latencies.percentile_s(50)
    assert median_s is not None  # noqa: S101 - one sample is enough for a median
    rates = tuple(worker_rate(worker, counted) for worker in workers)
    makespan_s = (end - start) / 1e9
    per_s = sum(rates) if kept else sum(w.iteration_count for w in workers) / makespan_s
    throughput_per_s = per_s * items
    return Statistics(
        makespan_s=makespan_s,
        pace_s=max((worker.end_ns - start) / 1e9 / worker.iteration_count for worker in workers),
        throughput_per_s=throughput_per_s,
        throughput_interval_per_s=_interval_around(throughput_per_s, Throughput.of(workers, window)),
        rates_per_s=rates,
        start_skew_s=(window[0] - start) / 1e9,
        common_window_s=(window[1] - window[0]) / 1e9,
        latencies=latencies,
        latency_mean_s=float(pool.mean()) / 1e9,
        latency_p50_s=median_s,
        latency_p95_s=latencies.percentile_s(95),
        latency_p99_s=latencies.percentile_s(99),
        latency_max_s=float(pool.max()) / 1e9,
        latency_p50_by_worker_s=tuple(float(np.median(worker.latencies_s())) for worker in workers),
        elapsed_s=tuple(worker.elapsed_s for worker in workers),
    )


def _interval_around(value_per_s: float, throughput: Throughput) -> tuple[float, float] | None:
    """Scale the interval to the throughput, which differs from the spans' mean by parts of iterations."""
    found = throughput.interval_per_s()
    if found is None:
        return None
    factor = value_per_s / float(throughput.per_s.mean())
    return found[0] * factor, found[1] * factor


def whole_window_ns(workers: Sequence[WorkerSamples]) -> tuple[int, int]:
    """Return the makespan's limits: the first worker's start and the last worker's end."""
    return min(w.start_ns for w in workers), max(w.end_ns for w in workers)


def common_window_ns(workers: Sequence[WorkerSamples], kept: bool) -> tuple[int, int]:
    """Return the time in which all workers were at work: from the last start to the last or first end.

    It is the last end if workers kept up the load (`kept`), otherwise the first.
    """
    ends = [w.end_ns for w in workers]
    return max(w.start_ns for w in workers), max(ends) if kept else min(ends)
