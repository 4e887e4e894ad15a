"""Figures of one run against values computed by hand."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from mps_experiments.record.samples import WorkerSamples
from mps_experiments.record.statistics import common_window_ns, summarise
from tests.records import samples

# |-- 0: 100 to 500 ms --|
#    |------- 1: 200 to 1100 ms -------|
TWO_WORKERS = (samples(0, 100, 100, 300), samples(1, 200, 200, 700))
# The first worker keeps up its load until the other is done: three more iterations, the last one too late.
KEPT = (replace(TWO_WORKERS[0], kept_ns=(250_000_000, 250_000_000, 200_000_000)), TWO_WORKERS[1])


@pytest.mark.parametrize("kept", [True, False])
def test_makespan_goes_from_the_first_start_to_the_last_end_of_the_workers_own_iterations(kept: bool) -> None:
    assert summarise(KEPT, kept).makespan_s == pytest.approx(1.0)


def test_pace_is_the_makespan_over_times_and_without_equal_times_that_of_the_slowest_worker() -> None:
    assert summarise(TWO_WORKERS, kept=True).pace_s == pytest.approx(1.0 / 2)
    unequal = (samples(0, 0, 100, 100, 100, 100, 100), samples(1, 0, 250, 250))
    assert summarise(unequal, kept=True).pace_s == pytest.approx(0.25)


def test_a_fixed_window_counts_all_iterations_over_the_makespan() -> None:
    figures = summarise(TWO_WORKERS, kept=False)
    assert figures.throughput_per_s == pytest.approx(4 / 1.0)
    assert figures.common_window_s == pytest.approx(0.3)
    assert common_window_ns(TWO_WORKERS, kept=False) == (200_000_000, 500_000_000)


def test_a_kept_window_sums_the_rates_of_whole_iterations_from_the_last_start_until_the_last_is_done() -> (
    None
):
    figures = summarise(KEPT, kept=True)
    assert common_window_ns(KEPT, kept=True) == (200_000_000, 1_100_000_000)
    # Worker 0: from 200 ms on 300, 250 and 250 ms (the fourth ends at 1200 ms); worker 1: 200 and 700 ms.
    assert figures.rates_per_s == pytest.approx((3 / 0.8, 2 / 0.9))
    assert figures.throughput_per_s == pytest.approx(3 / 0.8 + 2 / 0.9)
    assert figures.common_window_s == pytest.approx(0.9)
    assert figures.latencies.count == 5
    assert figures.latency_max_s == pytest.approx(0.7)
    assert figures.latency_mean_s == pytest.approx((0.3 + 0.25 + 0.25 + 0.2 + 0.7) / 5)


def test_iterations_without_room_for_a_timestamp_count_in_the_rate() -> None:
    beyond = (replace(TWO_WORKERS[0], beyond=2, beyond_ns=500_000_000), TWO_WORKERS[1])
    assert summarise(beyond, kept=True).rates_per_s[0] == pytest.approx(3 / 0.8)


def test_start_skew_is_the_last_start_minus_the_first() -> None:
    assert summarise(TWO_WORKERS, kept=True).start_skew_s == pytest.approx(0.1)


def test_each_worker_keeps_its_own_elapsed_time_by_rank() -> None:
    assert summarise(KEPT, kept=True).elapsed_s == pytest.approx((0.4, 0.9))
    assert summarise(KEPT, kept=True).latency_p50_by_worker_s == pytest.approx((0.2, 0.45))


def test_workers_that_never_ran_together_have_a_negative_common_window() -> None:
    apart = (samples(0, 0, 100), samples(1, 300, 100))
    assert summarise(apart, kept=False).common_window_s == pytest.approx(-0.2)


def test_latencies_of_a_fixed_window_are_taken_over_all_iterations_of_all_workers() -> None:
    figures = summarise(TWO_WORKERS, kept=False)  # 100, 200, 300, 700 ms
    assert figures.latency_mean_s == pytest.approx(0.325)
    assert figures.latency_max_s == pytest.approx(0.7)
    assert figures.latency_p50_s == pytest.approx(0.2)


def test_tails_are_told_only_of_enough_iterations() -> None:
    few, some, many = (summarise([samples(0, 0, *range(1, n + 1))], kept=True) for n in (99, 100, 1000))
    assert (few.latency_p95_s, few.latency_p99_s) == (None, None)
    assert some.latency_p95_s == pytest.approx(0.095)
    assert some.latency_p99_s is None
    assert many.latency_p95_s == pytest.approx(0.95)
    assert many.latency_p99_s == pytest.approx(0.99)


def test_the_interval_within_a_run_lies_around_the_throughput_and_needs_eight_spans() -> None:
    steady = summarise([samples(0, 0, *[100] * 8)], kept=True)
    assert steady.throughput_interval_per_s == pytest.approx((10.0, 10.0))
    assert summarise([samples(0, 0, *[100] * 7)], kept=True).throughput_interval_per_s is None
    uneven = summarise([samples(0, 0, *[100, 150] * 20)], kept=True)
    assert uneven.throughput_interval_per_s is not None
    low, high = uneven.throughput_interval_per_s
    assert uneven.throughput_per_s == pytest.approx(8.0)
    assert low < 8.0 < high


@pytest.mark.parametrize("workers", [[], [samples(0, 0)], [samples(0, 0, 1), samples(1, 0)]])
def test_a_worker_without_a_finished_iteration_has_no_statistics(workers: Sequence[WorkerSamples]) -> None:
    with pytest.raises(ValueError, match="at least one finished iteration"):
        summarise(workers, kept=True)
