"""Figures of the traced pass against cases by hand, and against single nanoseconds counted one by one."""

from statistics import mean, median

import numpy as np
import pytest
from numpy.typing import NDArray

from mps_experiments.record.overlap import CPU_OPERATOR, KERNEL, MEMCPY, Activity, KernelTrace, activity_of
from tests.traces import make_trace, random_trace

NS = 1e-9


def activity(*traces: KernelTrace) -> Activity:
    found = activity_of(traces)
    assert found is not None
    return found


def parts_ns(found: Activity, rank: int = 0) -> list[int]:
    """Return running, waiting behind others, waiting idle and host, in nanoseconds."""
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
    prompt, late = [(10, 20), (22, 24)], (60, 70)
    waits = make_trace([*prompt, late], launches=[(0, 10), (12, 22), (20, 30)])
    found = activity(waits, make_trace([(40, 55)], rank=1))
    assert parts_ns(found) == [22, 15, 15, 48]
    assert parts_ns(found, rank=1) == [15, 0, 0, 85]


def test_an_operation_waits_only_from_the_end_of_the_one_before_on_its_stream() -> None:
    prompt = [(71, 72), (73, 74), (75, 76)]
    launches = [(0, 1), (2, 3), (70, 71), (72, 73), (74, 75)]
    found = activity(make_trace([(10, 50), (60, 70), *prompt], launches=launches))
    assert parts_ns(found) == [53, 0, (10 - 1) + (60 - 50), 28]


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


def delayed_trace(*delays_ns: int) -> KernelTrace:
    """Make kernels of 10 us, 100 us apart, each launched in 1 us and delayed by this much."""
    launched = [100_000 * number + 1_000 for number in range(len(delays_ns))]
    starts = [each + delay for each, delay in zip(launched, delays_ns, strict=True)]
    return make_trace(
        [(start, start + 10_000) for start in starts],
        launches=[(each - 1_000, each) for each in launched],
        boundaries_ns=(0, 100_000 * len(delays_ns)),
    )


def test_the_usual_latency_of_a_launch_is_not_waiting() -> None:
    assert parts_ns(activity(delayed_trace(5_000, 5_000, 5_000)))[1:3] == [0, 0]
    running, _, idle, host = parts_ns(activity(delayed_trace(4_000, 5_000, 35_000)))
    assert (running, idle, host) == (30_000, 30_000, 300_000 - 60_000)


def test_the_usual_latency_is_the_median_and_an_even_number_of_delays_has_one_too() -> None:
    assert parts_ns(activity(delayed_trace(2_000, 4_001, 9_000, 9_000)))[2] == 2 * (9_000 - 6_500)


def test_where_everything_queues_up_only_ten_microseconds_are_latency() -> None:
    assert parts_ns(activity(delayed_trace(10_000, 10_000)))[2] == 0
    assert parts_ns(activity(delayed_trace(50_000, 50_000, 50_000)))[2] == 3 * 40_000


def test_the_latency_is_each_workers_own() -> None:
    found = activity(delayed_trace(5_000, 5_000), make_trace([], rank=1, boundaries_ns=(0, 200_000)))
    assert parts_ns(found)[2] == parts_ns(found, rank=1)[2] == 0


MS = 1_000_000


def test_the_long_share_is_that_of_operations_over_a_millisecond() -> None:
    spans = [(0, 2 * MS), (2 * MS, 3 * MS), (3 * MS, 4 * MS + 1)]
    found = activity(make_trace(spans, boundaries_ns=(0, 5 * MS)))
    assert found.long_share == pytest.approx((3 * MS + 1) / (4 * MS + 1))
    assert activity(make_trace([(0, MS)], boundaries_ns=(0, MS))).long_share == 0


def test_the_long_share_is_over_all_workers_and_the_time_they_share() -> None:
    long = make_trace([(0, 2 * MS), (4 * MS, 6 * MS)], boundaries_ns=(0, 6 * MS))
    short = make_trace([(3 * MS, 4 * MS)], rank=1, boundaries_ns=(3 * MS, 9 * MS))
    assert activity(long, short).long_share == pytest.approx(2 / 3)
    across = make_trace([(2 * MS, 5 * MS)], boundaries_ns=(0, 6 * MS))
    assert activity(across, short).long_share == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("lengths_ms", "mps_on", "told"),
    [
        ((0.5, 0.5), False, True),
        ((8.0, 8.0), False, False),  # spans of several time slices
        ((8.0, 8.0), True, True),
        ((2.0, 0.5), False, False),
    ],
)
def test_without_mps_long_operations_tell_of_no_overlap(
    lengths_ms: tuple[float, float], mps_on: bool, told: bool
) -> None:
    found = activity(
        *(
            make_trace([(0, int(length * MS))], rank=rank, boundaries_ns=(0, 10 * MS))
            for rank, length in enumerate(lengths_ms)
        )
    )
    assert found.overlap_share > 0
    assert found.tells_overlap(mps_on) is told


def test_a_fifth_of_the_time_in_long_operations_still_tells_of_overlap() -> None:
    short = [(number * MS, (number + 1) * MS) for number in range(8)]
    for length, told in ((2 * MS, True), (2 * MS + MS // 10, False)):
        traces = [
            make_trace(short, boundaries_ns=(0, 12 * MS)),
            make_trace([(8 * MS, 8 * MS + length)], rank=1, boundaries_ns=(0, 12 * MS)),
        ]
        assert activity(*traces).tells_overlap(False) is told


def test_the_cpu_takes_no_turns_so_long_operators_tell_of_overlap() -> None:
    long = [(0, 9 * MS)]
    for kind, told in ((CPU_OPERATOR, True), (KERNEL, False)):
        found = activity(
            *(make_trace(long, rank=rank, kinds=[kind], boundaries_ns=(0, 10 * MS)) for rank in (0, 1))
        )
        assert found.tells_overlap(mps_on=False) is told


def test_one_worker_alone_has_no_overlap_to_tell_of() -> None:
    assert not activity(make_trace([(0, 50)])).tells_overlap(True)


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
    """Compute each operation's wait from its definition: launched, and all before it on its stream ended.

    Nothing in random passes is late by 10 us, so the usual latency is always the median.
    """
    calls = list(zip(trace.launches_ns.tolist(), trace.launched_ns.tolist(), strict=True))
    usual = int(median(end - begin for begin, end in calls))
    could_start = []
    for index, (begin, end) in enumerate(calls):
        earlier = [e for e, s in zip(trace.ends_ns[:index], trace.streams[:index], strict=True)
                   if s == trace.streams[index]]  # fmt: skip
        could_start.append(max(begin + min(end - begin, usual), *(int(e) for e in earlier), 0))
    starts = trace.starts_ns.tolist()
    latency = int(median(max(a - b, 0) for a, b in zip(starts, could_start, strict=True)))
    return [(could + latency, start) for could, start in zip(could_start, starts, strict=True)]
