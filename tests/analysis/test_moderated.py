"""Intervals of means whose variances are moderated by those of others."""

import math

import numpy as np
import pytest
from scipy.stats import t

from mps_experiments.analysis.moderated import ENOUGH, NOTHING, Samples

NAN = math.nan


def test_counts_means_and_the_pooled_variance_leave_out_what_is_not_there() -> None:
    samples = Samples.of(np.array([[1.0, 3.0, NAN], [5.0, NAN, NAN], [NAN, NAN, NAN], [0.0, 0.0, 3.0]]))
    assert samples.count.tolist() == [2, 1, 0, 3]
    assert samples.mean.tolist() == [2.0, 5.0, 0.0, 1.0]
    freedom, variance = samples.pooled()
    assert freedom == 3
    assert variance == pytest.approx((2 + 6) / 3)


def test_a_sample_alone_has_students_interval() -> None:
    samples = Samples.of(np.array([[1.0, 2.0, 4.0]]))
    (found,) = samples.intervals(samples.pooled(), 0.975)
    assert found.mean == pytest.approx(7 / 3)
    assert found.blocks == 3
    assert found.half == pytest.approx(t.ppf(0.975, 2) * np.std([1, 2, 4], ddof=1) / math.sqrt(3))
    assert (found.low, found.high) == (found.mean - found.half, found.mean + found.half)


@pytest.mark.parametrize(("values", "prior"), [([0.0, 2.0], ENOUGH - 1), ([0, 2, 0, 2, 0, 2, 0, 2], 0)])
def test_the_variance_of_others_fills_up_what_the_own_lacks(values: list[float], prior: int) -> None:
    many = np.random.default_rng(0).normal(0, 1, (20, 8))
    samples = Samples.of(np.vstack([[*values, *[NAN] * (8 - len(values))], many]))
    own, pooled = len(values) - 1, samples.pooled()
    found = samples.intervals(pooled, 0.975)[0]
    variance = (prior * pooled[1] + own * np.var(values, ddof=1)) / (prior + own)
    assert found.half == pytest.approx(t.ppf(0.975, prior + own) * math.sqrt(variance / len(values)))


def test_nothing_is_known_of_the_spread_of_single_values() -> None:
    samples = Samples.of(np.array([[1.0], [NAN]]))
    one, nothing = samples.intervals(samples.pooled(), 0.975)
    assert (one.mean, one.half) == (1.0, math.inf)
    assert nothing is NOTHING
