"""The makespan split into parts; every figure is computed by hand."""

from typing import Any

import pytest

from mps_experiments.record.decomposition import Decomposition, decompose
from mps_experiments.record.overlap import Activity, WorkerActivity
from tests.records import samples


def active(rank: int, iteration_ms: float = 20, **parts_ms: float) -> WorkerActivity:
    """Make a worker of the traced pass with these milliseconds per iteration."""
    return WorkerActivity(
        rank=rank,
        iteration_s=iteration_ms / 1e3,
        running_s=parts_ms.get("run", 0) / 1e3,
        behind_others_s=parts_ms.get("behind", 0) / 1e3,
        waiting_idle_s=parts_ms.get("idle", 0) / 1e3,
        host_s=parts_ms.get("host", 0) / 1e3,
        operations=100,
        operations_s=parts_ms.get("run", 0) / 1e3,
        sm_fill=None,
    )


def activity(*workers: WorkerActivity) -> Activity:
    return Activity(
        window_s=0.1,
        iterations=3,
        on_gpu=True,
        busy_share=0.5,
        overlap_share=0.1,
        mean_active_workers=1.1,
        long_share=0.0,
        gaps_per_s=1.0,
        gap_p50_s=0.01,
        workers=workers,
    )


# |-- 0: 0 to 30 ms, 3 iterations --|
#     |-- 1: 5 to 50 ms, 3 iterations of 15 ms --|
SAMPLES = (samples(0, 0, 10, 10, 10), samples(1, 5, 15, 15, 15))
ACTIVE = activity(
    active(0, run=3, behind=2, idle=1, host=14), active(1, iteration_ms=30, run=5, behind=4, idle=2, host=19)
)


def test_the_iteration_is_that_of_the_worker_that_ends_last() -> None:
    found = decompose(SAMPLES, ACTIVE)
    assert found.makespan_s == pytest.approx(0.050)
    assert found.iteration_s == pytest.approx(0.015)


def test_what_the_traced_pass_saw_is_taken_over_as_means_and_host_is_the_rest_of_the_timed_iteration() -> (
    None
):
    found = decompose(SAMPLES, ACTIVE)
    assert found.run_s == pytest.approx(0.004)
    assert found.behind_s == pytest.approx(0.003)
    assert found.idle_s == pytest.approx(0.0015)
    assert found.host_s == pytest.approx(0.015 - 0.004 - 0.003 - 0.0015)


def test_late_start_and_tail_are_shares_of_the_makespan() -> None:
    found = decompose(SAMPLES, ACTIVE)
    assert found.late_start_share == pytest.approx(5 / 50)
    assert found.tail_share == pytest.approx((20 + 0) / 2 / 50)


def test_the_slowdown_by_tracing_is_the_mean_over_workers() -> None:
    assert decompose(SAMPLES, ACTIVE).trace_slowdown == pytest.approx((20 / 10 + 30 / 15) / 2)
    uneven = activity(active(0, iteration_ms=10), active(1, iteration_ms=45))
    assert decompose(SAMPLES, uneven).trace_slowdown == pytest.approx((1 + 3) / 2)


def test_a_worker_that_starts_last_and_ends_first_is_not_the_path() -> None:
    inside = (samples(0, 0, 40, 40), samples(1, 30, 10, 10))
    found = decompose(inside, ACTIVE)
    assert found.iteration_s == pytest.approx(0.040)
    assert found.late_start_share == 0.0
    assert found.tail_share == pytest.approx((0 + 30) / 2 / 80)


def test_the_path_of_a_single_worker_has_no_late_start_and_no_tail() -> None:
    found = decompose(SAMPLES[:1], activity(active(0, run=4)))
    assert (found.late_start_share, found.tail_share) == (0.0, 0.0)
    assert [found.run_s, found.host_s] == pytest.approx([0.004, 0.006])


CASES: dict[str, tuple[dict[str, float], tuple[float, float, float, float]]] = {
    "all fits": ({"run": 4, "behind": 3, "idle": 2}, (4, 3, 2, 6)),
    "waiting fills the rest exactly": ({"run": 4, "behind": 9, "idle": 2}, (4, 9, 2, 0)),
    "waiting does not fit": ({"run": 5, "behind": 15, "idle": 5}, (5, 7.5, 2.5, 0)),
    "running alone does not fit": ({"run": 18, "behind": 3, "idle": 2}, (15, 0, 0, 0)),
    "nothing waits": ({"run": 4}, (4, 0, 0, 11)),
    "nothing waits and running fills it": ({"run": 20}, (15, 0, 0, 0)),
}


@pytest.mark.parametrize(("traced_ms", "parts_ms"), CASES.values(), ids=list(CASES))
def test_waiting_is_scaled_down_to_what_the_timed_iteration_has_room_for(
    traced_ms: dict[str, Any], parts_ms: tuple[float, ...]
) -> None:
    found = decompose((samples(0, 0, 15, 15),), activity(active(0, **traced_ms)))
    assert parts(found) == pytest.approx([each / 1e3 for each in parts_ms], abs=1e-12)
    assert sum(parts(found)) == pytest.approx(found.iteration_s)


def test_the_makespan_is_the_late_start_and_the_iterations_of_the_last_worker() -> None:
    found = decompose(SAMPLES, ACTIVE)
    late_s = found.late_start_share * found.makespan_s
    assert late_s + 3 * sum(parts(found)) == pytest.approx(found.makespan_s)


def test_shares_of_the_makespan_and_the_late_start_add_up_to_one() -> None:
    found = decompose(SAMPLES, ACTIVE)
    assert found.share(found.run_s) == pytest.approx(3 * 0.004 / 0.050)
    shares = [found.share(part) for part in parts(found)]
    assert sum(shares) + found.late_start_share == pytest.approx(1.0)


def test_traced_workers_other_than_the_timed_ones_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        decompose(SAMPLES, activity(active(0)))


def parts(found: Decomposition) -> list[float]:
    return [found.run_s, found.behind_s, found.idle_s, found.host_s]
