"""Latencies pooled over workers and runs, and their percentiles, defined once for every table and chart."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

ENOUGH = {50: 1, 95: 100, 99: 1000}  # samples below which a percentile is not reported
_DOUBT = 0.01  # probability with which a bound of a percentile may miss
_KEPT = 2000  # values of a run that are kept for pooling
# How many of them lie between two quantiles: close together around those that are reported.
_BINS = ((0.0, 0.4, 150), (0.4, 0.6, 550), (0.6, 0.9, 240), (0.9, 0.98, 450), (0.98, 1.0, 600))


@dataclass(frozen=True, kw_only=True, eq=False)
class Latencies:
    """A sorted sample of latencies.

    A percentile is reported from 100 (p95) and 1,000 (p99) samples on. The rule is that of MLPerf's load
    generator (``loadgen/early_stopping.cc``, ``results.cc``). With n samples, t of them above a bound, the
    bound holds for a share p with 99 % confidence if a binomial of n draws, each above with probability 1 -
    p, is at most t with a probability of at most 1 %. For p95 that takes 90 samples with t = 0 and 130 with
    t = 1; for p99, 459, 662 (t = 1, where the load generator begins), 838 (t = 2) and 1,001 (t = 3). So 100
    and 1,000 are the round numbers with which the longest sample bounds p95, and the third longest p99. The
    percentile reported is that of the sample, not this bound.

    Attributes:
        values_s: Latencies in seconds, ascending, shape ``(values,)``.
        weights: Number of latencies that each value stands for, shape ``(values,)``.
    """

    values_s: NDArray[np.floating]
    weights: NDArray[np.floating]

    @classmethod
    def of(cls, latencies_s: NDArray[np.float64]) -> "Latencies":
        """Sort the latencies of one run, in seconds."""
        return cls(values_s=np.sort(latencies_s), weights=np.ones(len(latencies_s)))

    @classmethod
    def pooled(cls, parts: Sequence["Latencies"]) -> "Latencies":
        """Merge the samples of several runs into one."""
        values = np.concatenate([part.values_s for part in parts])
        order = np.argsort(values, kind="stable")
        return cls(values_s=values[order], weights=np.concatenate([part.weights for part in parts])[order])

    def thinned(self) -> "Latencies":
        """Keep at most 2,000 values in single precision, among them each percentile that is reported.

        Each value stands for those around it, few where percentiles of several runs together may lie.
        """
        count = len(self.values_s)
        values, weights = self.values_s, self.weights
        if count > _KEPT:
            shares = [np.linspace(low, high, bins, endpoint=False) for low, high, bins in _BINS]
            exact = np.array([self._place(percent / 100) for percent in ENOUGH])
            edges = np.concatenate([*(count * share for share in shares), exact, exact + 1, [count]])
            edges = np.unique(edges.round().astype(int))
            weights = np.add.reduceat(weights, edges[:-1])
            values = values[(edges[:-1] + edges[1:] - 1) // 2]
        return Latencies(values_s=values.astype(np.float32), weights=weights.astype(np.float32))

    @property
    def count(self) -> int:
        """Return the number of latencies."""
        return round(float(self.weights.sum(dtype=np.float64)))

    def percentile_s(self, percent: int) -> float | None:
        """Return a percentile in seconds; None if there are too few samples for it."""
        return self.quantile_s(percent / 100) if self.count >= ENOUGH[percent] else None

    def bound_s(self, percent: int) -> float | None:
        """Return a latency in seconds that the percentile is not above, with 99 % confidence.

        It is the shortest that the rule of this class allows; None if there are too few samples for any.
        """
        from scipy.stats import binom  # takes a while to import

        above = int(binom.ppf(_DOUBT, self.count, 1 - percent / 100))  # so many are too probable by a little
        if binom.cdf(above, self.count, 1 - percent / 100) > _DOUBT:
            above -= 1
        return None if above < 0 else self.quantile_s((self.count - above) / self.count)

    def quantile_s(self, share: float) -> float:
        """Return the smallest latency, in seconds, that at least this share of all does not exceed.

        This is the nearest rank (Hyndman and Fan 1996, definition 1).
        """
        return float(self.values_s[self._place(share)])

    def _place(self, share: float) -> int:
        reached = np.cumsum(self.weights, dtype=np.float64)
        place = int(np.searchsorted(reached, share * reached[-1] * (1 - 1e-12)))
        return min(place, len(self.values_s) - 1)


def needed_iterations(percent: int, workers: int, runs: int = 1) -> int:
    """Return the iterations per worker from which on a percentile is reported."""
    return ceil(ENOUGH[percent] / (workers * runs))
