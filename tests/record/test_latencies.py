"""Percentiles of pooled latencies, and when they are told."""

from collections.abc import Callable
from math import ceil, comb

import numpy as np
import pytest
from numpy.typing import NDArray

from mps_experiments.record.latencies import ENOUGH, Latencies, needed_iterations


def of(*values_s: float) -> Latencies:
    return Latencies.of(np.asarray(values_s))


def lognormal(count: int, seed: int, sigma: float = 0.5) -> Latencies:
    return Latencies.of(0.01 * np.exp(sigma * np.random.default_rng(seed).normal(size=count)))


def binomial_at_most(most: int, draws: int, share: float) -> float:
    return sum(comb(draws, n) * share**n * (1 - share) ** (draws - n) for n in range(most + 1))


def test_a_percentile_is_the_nearest_rank() -> None:
    assert of(4.0, 1.0, 3.0, 2.0).percentile_s(50) == 2.0
    assert of(3.0, 1.0, 2.0).percentile_s(50) == 2.0
    hundred = of(*range(1, 101))
    assert (hundred.percentile_s(50), hundred.percentile_s(95)) == (50, 95)
    assert (hundred.quantile_s(0.0), hundred.quantile_s(0.951), hundred.quantile_s(1.0)) == (1, 96, 100)


@pytest.mark.parametrize("percent", [95, 99])
def test_a_tail_of_fewer_samples_than_it_takes_is_not_told(percent: int) -> None:
    enough = ENOUGH[percent]
    assert of(*range(enough - 1)).percentile_s(percent) is None
    assert of(*range(enough)).percentile_s(percent) == enough * percent // 100 - 1


def test_enough_samples_are_those_whose_longest_bound_the_percentile_with_99_percent_confidence() -> None:
    """The rule of MLPerf's load generator, with none (p95) or two (p99) of the samples above the bound."""
    for above, percent, exact in ((0, 95, 90), (1, 95, 130), (0, 99, 459), (1, 99, 662), (2, 99, 838)):
        share = 1 - percent / 100
        assert binomial_at_most(above, exact, share) <= 0.01 < binomial_at_most(above, exact - 1, share)
    assert 90 <= ENOUGH[95] < 130
    assert 838 <= ENOUGH[99] < 1001


@pytest.mark.parametrize(
    ("count", "bound"), [(458, None), (459, 459), (661, 661), (662, 661), (838, 836), (1001, 998)]
)
def test_p99_is_bounded_by_the_shortest_latency_that_is_above_it_with_99_percent_confidence(
    count: int, bound: int | None
) -> None:
    assert of(*range(1, count + 1)).bound_s(99) == bound


def test_a_bound_holds_in_99_of_100_samples() -> None:
    true_s = 0.01 * np.exp(0.5 * 2.3263)
    misses = sum(bound < true_s for seed in range(2000) if (bound := lognormal(700, seed).bound_s(99)))
    assert misses <= 40  # 20 are expected at most


def test_pooling_counts_each_latency_once_however_many_there_are_of_each_run() -> None:
    pooled = Latencies.pooled([of(*[1.0] * 60), of(*[2.0] * 40)])
    assert pooled.count == 100
    assert (pooled.percentile_s(50), pooled.percentile_s(95)) == (1.0, 2.0)
    assert pooled.quantile_s(0.61) == 2.0


@pytest.mark.parametrize("sigma", [0.1, 0.5, 1.0])
def test_pooled_percentiles_of_thinned_latencies_stay_within_two_thousandths(sigma: float) -> None:
    runs = [lognormal(count, seed, sigma) for seed, count in enumerate((150_000, 40_000, 3_000, 500))]
    thinned = [run.thinned() for run in runs]
    whole, short = Latencies.pooled(runs), Latencies.pooled(thinned)
    assert short.count == whole.count == 193_500
    for percent in (50, 95, 99):
        assert short.percentile_s(percent) == pytest.approx(whole.percentile_s(percent), rel=0.002)


def skewed(count: int, sigma: float) -> NDArray[np.float64]:
    return np.asarray(lognormal(count, count, sigma).values_s, np.float64)


def bimodal(count: int, slow: float) -> NDArray[np.float64]:
    """4 ms, and 20 ms for this share of them: an edge at exactly a percentile would mix the two."""
    random = np.random.default_rng(count)
    middle_s = np.where(np.arange(count) < round(count * (1 - slow)), 0.004, 0.02)
    return middle_s * (1 + 0.1 * random.random(count))


@pytest.mark.parametrize("count", [300, 1_999, 2_001, 2_500, 9_973, 30_000, 100_000])
@pytest.mark.parametrize(
    ("drawn", "shape"), [*((skewed, s) for s in (0.1, 1.0)), *((bimodal, s) for s in (0.5, 0.05, 0.01))]
)
def test_the_percentiles_of_a_thinned_run_are_the_exact_nearest_ranks(
    count: int, drawn: Callable[[int, float], NDArray[np.float64]], shape: float
) -> None:
    values_s = np.sort(drawn(count, shape))
    thinned = Latencies.of(values_s).thinned()
    assert thinned.count == count
    assert len(thinned.values_s) <= 2000
    for percent in (percent for percent, enough in ENOUGH.items() if count >= enough):
        exact = values_s[ceil(percent * count / 100) - 1]
        assert thinned.percentile_s(percent) == pytest.approx(exact, rel=1e-6)


def test_thinned_latencies_take_at_most_16_kilobytes_and_few_stay_as_they_are() -> None:
    large = lognormal(1_000_000, 0).thinned()
    assert large.values_s.nbytes + large.weights.nbytes <= 16_000
    assert large.count == 1_000_000
    assert of(1.0, 2.0).thinned().values_s.tolist() == [1.0, 2.0]


def test_the_iterations_that_would_do_are_shared_by_workers_and_runs() -> None:
    assert needed_iterations(99, workers=1) == 1000
    assert needed_iterations(99, workers=8, runs=5) == 25
    assert needed_iterations(95, workers=3) == 34
