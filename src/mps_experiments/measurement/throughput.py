"""Iterations per second inside a window, and how sure that is within one run."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mps_experiments.measurement.samples import WorkerSamples

Window = tuple[int, int]
_BINS = 60  # at most; each holds at least one iteration of the slowest worker on average
_BLOCKS = 12  # into which the bins are grouped: on virtual cores speed holds for about a second
_LEAST_BINS = 8
_RESAMPLES = 999
_SEED = 0  # the same samples always give the same interval
CONFIDENCE = 0.95


def whole_iterations(worker: WorkerSamples, window: Window) -> NDArray[np.int64]:
    """Return the latencies, in nanoseconds, of the iterations that lie wholly inside the window.

    Of a worker that has none, all of its own: it was slower than the window is long.
    """
    boundaries = worker.boundaries_ns()
    inside = (boundaries[:-1] >= window[0]) & (boundaries[1:] <= window[1])
    latencies = np.diff(boundaries)
    return latencies[inside] if inside.any() else latencies[: worker.iteration_count]


def worker_rate(worker: WorkerSamples, window: Window) -> float:
    """Return a worker's rate: its whole iterations in the window over the seconds that they took."""
    latencies = whole_iterations(worker, window)
    count, took_ns = len(latencies) + worker.beyond, int(latencies.sum()) + worker.beyond_ns
    return count * 1e9 / took_ns


@dataclass(frozen=True, kw_only=True, eq=False)
class Throughput:
    """Iterations of all workers in equal spans of time.

    Attributes:
        per_s: Iterations per second in each span, in order of time; an iteration that lies in several spans
            counts in each by its share. Shape ``(spans,)``; empty where the window is too short.
    """

    per_s: NDArray[np.float64]

    @classmethod
    def of(cls, workers: Sequence[WorkerSamples], window: Window) -> "Throughput":
        """Divide a window into spans, each with at least one iteration of every worker on average."""
        bins = min(_BINS, *(len(whole_iterations(worker, window)) for worker in workers))
        if bins < _LEAST_BINS or window[1] <= window[0]:
            return cls(per_s=np.empty(0))
        edges = np.linspace(window[0], window[1], bins + 1)
        done = sum(np.interp(edges, *_progress(worker)) for worker in workers)
        return cls(per_s=np.diff(done) / np.diff(edges) * 1e9)

    def interval_per_s(self) -> tuple[float, float] | None:
        """Return the 95 % interval of the mean by a circular block bootstrap; None for too few spans.

        Neighbouring spans are alike (a core keeps its speed for a while), so blocks of neighbours are drawn
        (Politis and Romano 1992). The percentile interval is widened by Student's t over the normal quantile,
        with as many degrees of freedom as there are blocks less one.
        """
        bins = len(self.per_s)
        if bins < _LEAST_BINS:
            return None
        from scipy.special import ndtri, stdtrit

        length = max(1, round(bins / _BLOCKS))
        blocks = -(-bins // length)
        starts = np.random.default_rng(_SEED).integers(bins, size=(_RESAMPLES, blocks, 1))
        draws = self.per_s[(starts + np.arange(length)) % bins].reshape(_RESAMPLES, -1)[:, :bins].mean(axis=1)
        mean, tail = float(self.per_s.mean()), (1 - CONFIDENCE) / 2
        wider = float(stdtrit(blocks - 1, 1 - tail) / ndtri(1 - tail))
        low, high = (float(value) for value in np.quantile(draws, (tail, 1 - tail)))
        return max(0.0, mean + wider * (low - mean)), mean + wider * (high - mean)


def _progress(worker: WorkerSamples) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Times and the number of iterations done by then."""
    boundaries = worker.boundaries_ns()
    done = np.arange(len(boundaries))
    if worker.beyond:
        boundaries = np.append(boundaries, boundaries[-1] + worker.beyond_ns)
        done = np.append(done, done[-1] + worker.beyond)
    return boundaries, done
