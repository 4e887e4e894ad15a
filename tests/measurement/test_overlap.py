"""Figures of the traced pass against cases by hand, and against single nanoseconds counted one by one."""

from statistics import mean, median

import numpy as np
import pytest
from numpy.typing import NDArray

from mps_experiments.measurement.overlap import CPU_OPERATOR, MEMCPY, Activity, KernelTrace, activity_of
from tests.traces import make_trace, random_trace

NS = 1e-9


def activity(*traces: KernelTrace) -> Activity:
    found = activity_of(traces)
    assert found is not None
    return found


def parts_ns(found: Activity, rank: int = 0) -> list[int]:
    """Running, waiting behind others, waiting idle, host."""
    worker = found.workers[rank]
    seconds = (worker.running_s, worker.behind_others_s, worker.waiting_idle_s, worker.host_s)
    return [round(s / NS) for s in seconds]


def test_two_workers_that_strictly_alternate_keep_the_gpu_busy_and_never_overlap() -> None:
    found = activity(make_trace([(0, 25), (50, 75)]), make_trace([(25, 50), (75, 100)], rank=1))
    assert (found.busy_share, found.overlap_share, found.mean_active_workers) == (1.0, 0.0, 1.0)
    assert (found.gaps_per_s, found.gap_p50_s) == (0.0, 0.0)


def test_two_workers_that_run_at_the_same_time_overlap_all_the_time() -> None:
    found = activity(make_trace([(10, 90)]), make_trace([(10, 90)], rank=1))
    assert found.busy_share == pytest.approx(0.8)
    assert (found.overlap_share, found.mean_active_workers) == (1.0, 2.0)


def test_half_of_the_busy_time_shared_is_an_overlap_of_a_half() -> None:
    found = activity(make_trace([(0, 80)]), make_trace([(40, 80)], rank=1))
    assert found.busy_share == pytest.approx(0.8)
    assert (found.overlap_share, found.mean_active_workers) == (0.5, 1.5)


def test_operations_of_one_worker_on_two_streams_are_no_overlap() -> None:
    found = activity(make_trace([(0, 60), (20, 80)], streams=[7, 8]))
    assert (found.busy_share, found.overlap_share, found.mean_active_workers) == (0.8, 0.0, 1.0)


def test_three_workers_at_once_count_once_for_the_overlap_and_three_times_for_the_mean() -> None:
    found = activity(*(make_trace([(0, 100 - 40 * rank)], rank=rank) for rank in range(3)))
    assert found.overlap_share == 0.6
    assert found.mean_active_workers == pytest.approx((40 + 2 * 40 + 3 * 20) / 100)


def test_gaps_are_times_in_which_no_worker_ran() -> None:
    found = activity(make_trace([(0, 10), (60, 100)]), make_trace([(5, 15), (25, 30)], rank=1))
    assert found.gaps_per_s == pytest.approx(2 / (100 * NS))
    assert found.gap_p50_s == pytest.approx(20 * NS)


def test_only_the_time_that_all_workers_share_counts() -> None:
    first = make_trace([(0, 40), (60, 70)], boundaries_ns=(0, 80))
    found = activity(first, make_trace([(60, 80), (90, 120)], rank=1, boundaries_ns=(50, 120)))
    assert found.window_s == pytest.approx(30 * NS)
    assert found.busy_share == pytest.approx(20 / 30)
    assert found.overlap_share == 0.5


def test_no_figures_without_shared_time_operations_or_a_whole_iteration() -> None:
    whole = make_trace([(0, 40)])
    assert activity_of([whole, make_trace([(100, 140)], rank=1, boundaries_ns=(100, 200))]) is None
    assert activity_of([make_trace([]), make_trace([(100, 120)], rank=1)]) is None
    assert activity_of([whole, make_trace([(0, 40)], rank=1, boundaries_ns=(0,))]) is None
    assert activity_of([whole, make_trace([(0, 40)], rank=1, boundaries_ns=())]) is None
    assert activity_of([]) is None


def test_a_worker_without_operations_leaves_the_others_their_figures() -> None:
    found = activity(make_trace([(0, 50)]), make_trace([], rank=1))
    assert (found.busy_share, found.overlap_share) == (0.5, 0.0)
    assert parts_ns(found, rank=1) == [0, 0, 0, 100]
    assert found.workers[1].operations == 0


def test_waiting_is_split_into_behind_others_and_idle() -> None:
    waits = make_trace([(10, 20), (60, 70)], launches=[(0, 10), (20, 30)])
    found = activity(waits, make_trace([(40, 55)], rank=1))
    assert parts_ns(found) == [20, 15, 15, 50]
    assert parts_ns(found, rank=1) == [15, 0, 0, 85]


def test_an_operation_waits_only_from_the_end_of_the_one_before_on_its_stream() -> None:
    found = activity(make_trace([(10, 50), (60, 70)], launches=[(0, 1), (2, 3)]))
    assert parts_ns(found) == [50, 0, (10 - 1) + (60 - 50), 31]


def test_an_operation_does_not_wait_for_another_stream() -> None:
    spans, launches = [(1, 10), (20, 40), (50, 60)], [(0, 1), (19, 20), (2, 3)]
    two = activity(make_trace(spans, launches=launches, streams=[7, 7, 8]))
    assert parts_ns(two) == [39, 0, 10 + 10, 41]
    one = activity(make_trace(spans, launches=launches))
    assert parts_ns(one) == [39, 0, 10, 51]


def test_a_call_that_takes_longer_than_a_usual_launch_is_itself_waiting() -> None:
    spans, launches = [(2, 5), (12, 15), (70, 75)], [(0, 2), (10, 12), (20, 80)]
    found = activity(make_trace(spans, launches=launches, kinds=[0, 0, MEMCPY]))
    assert parts_ns(found) == [11, 0, 70 - 22, 41]


def test_without_known_launches_nothing_waits() -> None:
    assert parts_ns(activity(make_trace([(10, 30), (80, 100)]))) == [40, 0, 0, 60]


def test_parts_are_scaled_from_the_shared_time_to_the_workers_own_iteration() -> None:
    long = make_trace([(0, 30), (100, 150)], boundaries_ns=(0, 100, 200))
    found = activity(long, make_trace([(0, 1)], rank=1, boundaries_ns=(0, 50, 100)))
    assert found.workers[0].iteration_s == pytest.approx(100 * NS)
    assert parts_ns(found) == [30, 0, 0, 70]
    assert [round(worker.iteration_s / NS) for worker in found.workers] == [100, 50]


def test_operations_are_those_wholly_inside_the_workers_own_pass_per_iteration() -> None:
    spans = [(0, 5), (10, 20), (30, 60), (95, 105)]
    found = activity(make_trace(spans, boundaries_ns=(10, 50, 100)))
    assert found.workers[0].operations == 1.0
    assert found.workers[0].operations_s == pytest.approx((10 + 30) / 2 * NS)
    assert found.iterations == 2


def test_the_share_of_multiprocessors_is_weighted_by_duration_and_skips_what_is_unknown() -> None:
    found = activity(make_trace([(0, 10), (10, 40), (50, 90)], sm_fill=[1.0, 0.2, np.nan]))
    assert found.workers[0].sm_fill == pytest.approx((10 * 1.0 + 30 * 0.2) / 40)
    assert activity(make_trace([(0, 10)])).workers[0].sm_fill is None


def test_operators_of_the_cpu_are_told_from_operations_of_the_gpu() -> None:
    assert activity(make_trace([(0, 10)])).on_gpu
    assert not activity(make_trace([(0, 10)], kinds=[CPU_OPERATOR])).on_gpu


@pytest.mark.parametrize("seed", range(40))
def test_random_passes_equal_nanoseconds_counted_one_by_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    traces = [random_trace(rng, rank) for rank in range(rng.integers(1, 5))]
    start = max(int(trace.boundaries_ns[0]) for trace in traces)
    end = min(int(trace.boundaries_ns[-1]) for trace in traces)
    runs = np.stack([_ticks(_running(trace), start, end) for trace in traces])
    active = runs.sum(axis=0)
    found = activity(*traces)
    assert found.busy_share == pytest.approx((active > 0).mean())
    assert found.overlap_share == pytest.approx((active > 1).sum() / (active > 0).sum())
    assert found.mean_active_workers == pytest.approx(active[active > 0].mean())
    for rank, trace in enumerate(traces):
        waits = _ticks(_waiting(trace), start, end) & ~runs[rank]
        others = active - runs[rank] > 0
        worker = found.workers[rank]
        iteration_s = mean(np.diff(trace.boundaries_ns).tolist()) * NS
        assert worker.running_s == pytest.approx(runs[rank].mean() * iteration_s)
        assert worker.behind_others_s == pytest.approx((waits & others).mean() * iteration_s)
        assert worker.waiting_idle_s == pytest.approx((waits & ~others).mean() * iteration_s)
        parts = (worker.running_s, worker.behind_others_s, worker.waiting_idle_s, worker.host_s)
        assert sum(parts) == pytest.approx(worker.iteration_s) == pytest.approx(iteration_s)


def _ticks(spans: list[tuple[int, int]], start: int, end: int) -> NDArray[np.bool_]:
    return np.array([any(a <= t < b for a, b in spans) for t in range(start, end)])


def _running(trace: KernelTrace) -> list[tuple[int, int]]:
    return list(zip(trace.starts_ns.tolist(), trace.ends_ns.tolist(), strict=True))


def _waiting(trace: KernelTrace) -> list[tuple[int, int]]:
    """Each operation's wait, from its definition: launched, and all before it on its stream at their end."""
    calls = list(zip(trace.launches_ns.tolist(), trace.launched_ns.tolist(), strict=True))
    usual = int(median(end - begin for begin, end in calls))
    waits = []
    for index, (start, (begin, end)) in enumerate(zip(trace.starts_ns.tolist(), calls, strict=True)):
        earlier = [e for e, s in zip(trace.ends_ns[:index], trace.streams[:index], strict=True)
                   if s == trace.streams[index]]  # fmt: skip
        waits.append((max(begin + min(end - begin, usual), *(int(e) for e in earlier), 0), start))
    return waits
