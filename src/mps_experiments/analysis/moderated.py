"""Means of a few values and their intervals, with a variance that is moderated by those of others; pure.

The half width of a mean of n values is

    t(confidence, prior + n - 1) * sqrt((prior * pooled + (n - 1) * own) / (prior + n - 1) / n)

A variance of two or three values says little. So it is moderated by the variance pooled over all samples
(after Smyth 2004, doi:10.2202/1544-6115.1027), which counts as `prior` degrees of freedom: as many as its own
lack to six. With seven values a mean stands on its own: some cells are far noisier than others.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

ENOUGH = 6  # degrees of freedom


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A mean of logarithms; `half` is infinite where nothing is known of the spread."""

    mean: float
    half: float
    blocks: int

    def __neg__(self) -> "Interval":
        return replace(self, mean=-self.mean)

    @property
    def low(self) -> float:
        return self.mean - self.half

    @property
    def high(self) -> float:
        return self.mean + self.half


NOTHING = Interval(mean=math.nan, half=math.inf, blocks=0)


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Count, mean and sum of squares around it of each row of values."""

    count: NDArray[np.int64]
    mean: NDArray[np.float64]
    squares: NDArray[np.float64]

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> "Samples":
        """Take rows of values; NaN is none."""
        count = (~np.isnan(values)).sum(axis=1)
        mean = np.nansum(values, axis=1) / np.maximum(1, count)
        return cls(count=count, mean=mean, squares=np.nansum((values - mean[:, None]) ** 2, axis=1))

    @property
    def freedom(self) -> NDArray[np.int64]:
        """Return the degrees of freedom of each row."""
        return np.maximum(0, self.count - 1)

    def pooled(self) -> tuple[int, float]:
        """Return degrees of freedom and variance within all rows."""
        freedom = int(self.freedom.sum())
        return freedom, float(self.squares.sum()) / max(1, freedom)

    def intervals(self, pooled: tuple[int, float], confidence: float) -> list[Interval]:
        """Return the interval of each row's mean, its variance moderated by the pooled one."""
        prior = np.minimum(pooled[0] - self.freedom, np.maximum(0, ENOUGH - self.freedom))
        freedom = prior + self.freedom
        known = (freedom > 0) & (self.count > 0)
        variance = (prior * pooled[1] + self.squares) / np.maximum(1, freedom)
        half = quantile(confidence, np.maximum(1, freedom)) * np.sqrt(variance / np.maximum(1, self.count))
        return [
            Interval(mean=float(mean), half=float(half) if is_known else math.inf, blocks=int(count))
            if count
            else NOTHING
            for mean, half, is_known, count in zip(self.mean, half, known, self.count, strict=True)
        ]


def quantile(confidence: float, freedom: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the quantiles of Student's t."""
    from scipy.special import stdtrit  # takes a while to import

    found: NDArray[np.float64] = stdtrit(freedom, confidence)
    return found
