"""Iterations per second in spans of a window, and the interval of their mean."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from mps_experiments.record.throughput import Throughput, whole_iterations, worker_rate
from tests.records import samples

MS = 1_000_000
RUNS = 400


def autoregressive(spans: int, correlation: float, seed: int) -> NDArray[np.float64]:
    """Draw throughputs around 100/s that keep part of their deviation from span to span; a row is a run."""
    draws = np.random.default_rng(seed).normal(size=(RUNS, spans))
    for span in range(1, spans):
        draws[:, span] = correlation * draws[:, span - 1] + (1 - correlation**2) ** 0.5 * draws[:, span]
    return 100 + 10 * draws


def coverage(runs: NDArray[np.float64], truth: float) -> float:
    found = [Throughput(per_s=run).interval_per_s() for run in runs]
    return float(
        np.mean([interval is not None and interval[0] <= truth <= interval[1] for interval in found])
    )


@pytest.mark.parametrize("spans", [40, 60])
@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.6, 0.8, 0.9])
def test_the_interval_holds_the_truth_in_about_95_percent_of_all_runs(spans: int, correlation: float) -> None:
    assert 0.9 <= coverage(autoregressive(spans, correlation, seed=spans), truth=100) <= 0.99


def test_the_interval_of_few_spans_holds_it_nearly_as_often_where_neighbours_are_not_too_alike() -> None:
    assert coverage(autoregressive(8, 0.0, seed=1), truth=100) >= 0.93
    assert coverage(autoregressive(12, 0.6, seed=2), truth=100) >= 0.86


def test_cores_that_switch_between_two_speeds_are_covered() -> None:
    """As measured on virtual cores: 3.5 or 6.4 ms an iteration, each for about four spans."""
    rng = np.random.default_rng(3)
    flips = rng.random((RUNS, 60)) < 1 / 4
    is_fast = (rng.integers(2, size=(RUNS, 1)) + np.cumsum(flips, axis=1)) % 2
    rates = np.where(is_fast, 1000 / 3.5, 1000 / 6.4) + rng.normal(size=(RUNS, 60))
    assert coverage(rates, truth=(1000 / 3.5 + 1000 / 6.4) / 2) >= 0.9


def test_independent_spans_give_students_interval_and_steady_ones_none_at_all() -> None:
    alternating = np.asarray(
        [90.0, 110.0] * 10
    )  # neighbours differ as much as they can: counted as independent
    interval = Throughput(per_s=alternating).interval_per_s()
    assert interval is not None
    assert interval[1] - 100 == pytest.approx(2.093 * alternating.std(ddof=1) / 20**0.5, rel=0.001)
    assert 100 - interval[0] == pytest.approx(interval[1] - 100)
    assert Throughput(per_s=np.full(8, 5.0)).interval_per_s() == (5.0, 5.0)
    assert Throughput(per_s=np.full(7, 5.0)).interval_per_s() is None


def test_an_interval_does_not_reach_below_zero() -> None:
    interval = Throughput(per_s=np.asarray([0.1, 0.1, 9.0, 9.0, 0.1, 0.1, 9.0, 9.0])).interval_per_s()
    assert interval is not None
    assert interval[0] == 0.0


def test_spans_are_equal_and_hold_an_iteration_of_every_worker() -> None:
    workers = [samples(0, 0, *[100] * 10), samples(1, 0, *[50] * 20)]
    throughput = Throughput.of(workers, (0, 1000 * MS))
    assert throughput.per_s == pytest.approx([10 + 20] * 10)
    assert len(Throughput.of([samples(0, 0, *[1] * 1000)], (0, 1000 * MS)).per_s) == 60
    assert len(Throughput.of([samples(0, 0, *[100] * 7)], (0, 700 * MS)).per_s) == 0


def test_an_iteration_over_several_spans_counts_in_each_by_its_share() -> None:
    one = samples(0, 0, *[100] * 6, 200, *[100] * 2)
    per_s = Throughput.of([one], (0, 1000 * MS)).per_s
    assert per_s.sum() * (1.0 / len(per_s)) == pytest.approx(9 / 1.0)
    assert per_s.min() == pytest.approx(5, rel=0.2)


def test_only_iterations_that_lie_wholly_in_the_window_make_the_rate() -> None:
    worker = samples(0, 0, 100, 200, 300)
    assert whole_iterations(worker, (50 * MS, 700 * MS)).tolist() == [200 * MS, 300 * MS]
    assert worker_rate(worker, (50 * MS, 700 * MS)) == pytest.approx(2 / 0.5)
    assert worker_rate(worker, (250 * MS, 260 * MS)) == pytest.approx(
        3 / 0.6
    )  # slower than the window is long
    further = replace(worker, beyond=5, beyond_ns=500 * MS)
    assert worker_rate(further, (0, 700 * MS)) == pytest.approx(8 / 1.1)
