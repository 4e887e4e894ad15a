"""Repeats of one cell, and how sure a ratio of two such groups is; pure."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from mps_experiments.record import Measurement

CONFIDENCE = 0.95
_RESAMPLES = 9999
_SEED = 0  # the same records always give the same interval


@dataclass(frozen=True, kw_only=True)
class Group:
    """The VALID repeats of one cell.

    Attributes:
        measurements: In an order that does not depend on the order in which they were read; at least one.
        makespans_s: Makespan of each, in seconds.
        throughputs_per_s: Throughput of each, in iterations of all workers per second.
    """

    measurements: tuple[Measurement, ...]
    makespans_s: tuple[float, ...]
    throughputs_per_s: tuple[float, ...]

    @classmethod
    def of(cls, measurements: Sequence[Measurement]) -> "Group":
        """From the repeats of one cell; those that are not VALID have no figures and are left out."""
        ordered = sorted(measurements, key=lambda m: (m.cell.repeat, m.started_at, m.record_id))
        valid = [(m, figures) for m in ordered if (figures := m.statistics())]
        return cls(
            measurements=tuple(measurement for measurement, _ in valid),
            makespans_s=tuple(figures.makespan_s for _, figures in valid),
            throughputs_per_s=tuple(figures.throughput_per_s for _, figures in valid),
        )

    def __post_init__(self) -> None:
        if not self.measurements:
            raise ValueError("a group needs at least one VALID run")

    @property
    def first(self) -> Measurement:
        return self.measurements[0]

    @property
    def median_s(self) -> float:
        """Median makespan."""
        return statistics.median(self.makespans_s)

    @property
    def low_s(self) -> float:
        """Shortest makespan."""
        return min(self.makespans_s)

    @property
    def high_s(self) -> float:
        """Longest makespan."""
        return max(self.makespans_s)

    @property
    def throughput_median_per_s(self) -> float:
        return statistics.median(self.throughputs_per_s)

    def __len__(self) -> int:
        return len(self.measurements)


def ratio_interval(numerators_s: Sequence[float], denominators_s: Sequence[float]) -> tuple[float, float]:
    """A 95 % confidence interval of ``median(numerators) / median(denominators)``.

    The percentile interval of the bootstrap (Efron and Tibshirani, An Introduction to the Bootstrap, 1993,
    chapter 13), as `scipy.stats.bootstrap` computes it. With x the N-process and y the one-process makespans,
    both are drawn with replacement, independently of each other, ``b = 1 ... 9999`` times::

        theta_b = median(x_b) / median(y_b)
        interval = (2.5 % quantile of theta_b, 97.5 % quantile of theta_b)

    It takes the repeats as independent draws, so it says nothing of what they all share (this machine, this
    day). With fewer than 5 repeats it is only a hint: it cannot reach beyond the smallest and the largest
    ratio of two runs seen, and covers the true ratio in less than 95 % of all cases.

    Args:
        numerators_s: Makespans with N processes, at least two.
        denominators_s: Makespans with one process, at least two.

    Raises:
        ValueError: If either has fewer than two values.
    """
    return _interval(tuple(numerators_s), tuple(denominators_s))


def ratio_change_interval(
    now: tuple[Sequence[float], Sequence[float]], then: tuple[Sequence[float], Sequence[float]]
) -> tuple[float, float]:
    """A 95 % confidence interval of one ratio of medians over another, by the same bootstrap.

    Args:
        now: Makespans with N processes and with one, at least two each.
        then: Likewise, of the ratio to divide by.

    Raises:
        ValueError: If any has fewer than two values.
    """
    return _interval(*map(tuple, (*now, *then)))


@cache  # tables, causes and tracker each ask for it
def _interval(*samples: tuple[float, ...]) -> tuple[float, float]:
    from scipy.stats import bootstrap  # takes half a second, which a sweep without repeats need not pay

    if min(map(len, samples)) < 2:
        raise ValueError("an interval needs at least two repeats of each cell")
    found = bootstrap(
        tuple(map(np.sort, samples)),  # sorted: draws are by position
        _ratio_of_medians,
        n_resamples=_RESAMPLES,
        vectorized=True,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(_SEED),
    ).confidence_interval
    return float(found.low), float(found.high)


def _ratio_of_medians(*samples: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
    """Of the first two; divided by that of the next two, if there are four."""
    medians = [np.median(sample, axis=axis) for sample in samples]
    ratios = [above / below for above, below in zip(medians[::2], medians[1::2], strict=True)]
    return np.asarray(ratios[0] / ratios[1] if len(ratios) > 1 else ratios[0])
