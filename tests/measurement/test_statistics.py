"""Figures of one run against values computed by hand."""

from collections.abc import Sequence

import pytest

from mps_experiments.measurement.samples import WorkerSamples
from mps_experiments.measurement.statistics import common_window_ns, summarise
from tests.records import samples

# |-- 0: 100 to 500 ms --|
#    |------- 1: 200 to 1100 ms -------|
TWO_WORKERS = (samples(0, 100, 100, 300), samples(1, 200, 200, 700))


def test_makespan_goes_from_the_first_start_to_the_last_end() -> None:
    assert summarise(TWO_WORKERS).makespan_s == pytest.approx(1.0)


def test_throughput_is_summed_over_the_workers_never_averaged() -> None:
    assert summarise(TWO_WORKERS).throughput_per_s == pytest.approx(4 / 1.0)


def test_start_skew_is_the_last_start_minus_the_first() -> None:
    assert summarise(TWO_WORKERS).start_skew_s == pytest.approx(0.1)


def test_each_worker_keeps_its_own_elapsed_time_by_rank() -> None:
    assert summarise(TWO_WORKERS).elapsed_s == pytest.approx((0.4, 0.9))


def test_the_common_window_is_where_every_worker_was_measured() -> None:
    assert common_window_ns(TWO_WORKERS) == (200_000_000, 500_000_000)
    assert summarise(TWO_WORKERS).common_window_s == pytest.approx(0.3)


def test_workers_that_never_ran_together_have_a_negative_common_window() -> None:
    apart = (samples(0, 0, 100), samples(1, 300, 100))
    assert summarise(apart).common_window_s == pytest.approx(-0.2)


def test_latencies_are_taken_over_all_iterations_of_all_workers() -> None:
    figures = summarise(TWO_WORKERS)  # 100, 200, 300, 700 ms
    assert figures.latency_mean_s == pytest.approx(0.325)
    assert figures.latency_max_s == pytest.approx(0.7)


def test_percentiles_interpolate_linearly_between_order_statistics() -> None:
    figures = summarise([samples(0, 0, *range(1, 102))])  # 1 to 101 ms: percentile q is 1 + q ms
    assert figures.latency_p50_s == pytest.approx(0.051)
    assert figures.latency_p95_s == pytest.approx(0.096)
    assert figures.latency_p99_s == pytest.approx(0.100)
    assert summarise(TWO_WORKERS).latency_p95_s == pytest.approx(0.3 + 0.85 * 0.4)


@pytest.mark.parametrize("workers", [[], [samples(0, 0)], [samples(0, 0, 1), samples(1, 0)]])
def test_a_worker_without_a_finished_iteration_has_no_statistics(workers: Sequence[WorkerSamples]) -> None:
    with pytest.raises(ValueError, match="at least one finished iteration"):
        summarise(workers)
