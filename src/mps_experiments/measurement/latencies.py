"""Latencies pooled over workers and runs, and their percentiles: one definition for all who show them."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

ENOUGH = {50: 1, 95: 100, 99: 1000}  # samples without which a percentile is not told
_KEPT = 20_000  # sorted values of one run that are kept for pooling


@dataclass(frozen=True, kw_only=True, eq=False)
class Latencies:
    """A sorted sample of latencies.

    A percentile p is told from ``100 / (1 - p)`` samples on at the 90th percentile and above, scaled so that at
    least five (p95) and ten (p99) samples lie beyond it. MLPerf's load generator asks for more by the same
    reasoning (``early_stopping.cc``: how many samples bound a percentile with 99 % confidence).

    Attributes:
        values_s: In ascending order, in seconds; of a large run evenly spaced order statistics.
        weight: How many latencies each value stands for.
    """

    values_s: NDArray[np.float64]
    weights: NDArray[np.float64]

    @classmethod
    def of(cls, latencies_s: NDArray[np.float64]) -> "Latencies":
        """Sort the latencies of one run, in seconds; thin them where there are very many."""
        values = np.sort(latencies_s)
        count = len(values)
        if count > _KEPT:
            values = values[((np.arange(_KEPT) + 0.5) * count / _KEPT).astype(np.int64)]
        return cls(values_s=values, weights=np.full(len(values), count / max(1, len(values))))

    @classmethod
    def pooled(cls, parts: Sequence["Latencies"]) -> "Latencies":
        """Put the samples of several runs into one."""
        values = np.concatenate([part.values_s for part in parts])
        order = np.argsort(values, kind="stable")
        return cls(values_s=values[order], weights=np.concatenate([part.weights for part in parts])[order])

    @property
    def count(self) -> int:
        """How many latencies there are."""
        return round(float(self.weights.sum()))

    def percentile_s(self, percent: int) -> float | None:
        """Return a percentile in seconds, or None where there are too few samples for it.

        The nearest rank: the smallest latency that at least so many percent of all do not exceed (Hyndman and
        Fan 1996, definition 1).
        """
        if self.count < ENOUGH[percent]:
            return None
        reached = np.cumsum(self.weights)
        place = int(np.searchsorted(reached, percent / 100 * reached[-1] * (1 - 1e-12)))
        return float(self.values_s[min(place, len(self.values_s) - 1)])


def needed_iterations(percent: int, workers: int, runs: int = 1) -> int:
    """Return the iterations per worker with which a percentile would be told."""
    return ceil(ENOUGH[percent] / (workers * runs))
