"""Which core each worker gets."""

import os
import threading

import pytest

from mps_experiments.workers.placement import keep_off, place, taking_order, unpinned

DEADLINE_S = 30.0
EIGHT = range(8)
NO_SIBLINGS = {core: core for core in EIGHT}
PAIRS = {core: core % 4 for core in EIGHT}  # 0 and 4 are one physical core, and so on


def cores(count: int, near: tuple[int, ...] = (), siblings: dict[int, int] = NO_SIBLINGS) -> list[int]:
    return [core for (core,) in place(count, EIGHT, near, siblings).workers]


def test_near_cores_come_first_then_physical_ones_then_high_numbers() -> None:
    assert cores(8) == [7, 6, 5, 4, 3, 2, 1, 0]
    assert cores(4, near=(0, 1, 2)) == [2, 1, 0, 7]
    assert {PAIRS[core] for core in cores(8, siblings=PAIRS)[:4]} == {0, 1, 2, 3}
    assert set(cores(4, near=(0, 4, 1, 5), siblings=PAIRS)) == {0, 1, 4, 5}
    assert place(2, [3, 5], near=[0, 1], siblings=NO_SIBLINGS).workers == ((5,), (3,))


@pytest.mark.parametrize("near", [(), (1, 2)])
@pytest.mark.parametrize("siblings", [NO_SIBLINGS, PAIRS])
def test_a_rank_keeps_its_core_whatever_the_worker_count(
    near: tuple[int, ...], siblings: dict[int, int]
) -> None:
    everybody = cores(8, near, siblings)
    for count in range(1, 9):
        assert cores(count, near, siblings) == everybody[:count]


def test_the_parent_gets_what_is_left_and_with_too_few_cores_nobody_is_pinned() -> None:
    assert place(6, EIGHT, siblings=NO_SIBLINGS).parent == (0, 1)
    assert place(8, EIGHT, siblings=NO_SIBLINGS).parent == ()
    assert place(9, EIGHT, siblings=NO_SIBLINGS) == unpinned(9)
    assert unpinned(2).workers == ((), ())


def test_the_kernel_tells_the_siblings_of_this_machine() -> None:
    usable = os.sched_getaffinity(0)
    placement = place(len(usable), usable)
    assert sorted(core for (core,) in placement.workers) == sorted(usable)


def test_a_sweep_takes_whole_physical_cores_near_its_gpus_first() -> None:
    assert taking_order(EIGHT, siblings=NO_SIBLINGS) == [7, 6, 5, 4, 3, 2, 1, 0]
    assert taking_order(EIGHT, near=(1, 2), siblings=NO_SIBLINGS)[:3] == [2, 1, 7]
    halves = taking_order(EIGHT, siblings=PAIRS)
    assert {PAIRS[core] for core in halves[:4]}.isdisjoint({PAIRS[core] for core in halves[4:]})


def test_the_parent_keeps_off_the_workers_cores_and_comes_back() -> None:
    """All of its threads do: one may be writing the files of the run before."""
    before, gate = os.sched_getaffinity(0), threading.Event()
    other, later = (threading.Thread(target=gate.wait, args=(DEADLINE_S,)) for _ in range(2))
    other.start()
    undo = keep_off([min(before)])
    later.start()
    tasks = [0, *(thread.native_id for thread in (other, later) if thread.native_id)]
    try:
        assert [os.sched_getaffinity(task) for task in tasks] == [{min(before)}] * 3
    finally:
        undo()
    assert [os.sched_getaffinity(task) for task in tasks] == [before] * 3
    gate.set()
    for thread in (other, later):
        thread.join()
    keep_off([])()
    assert os.sched_getaffinity(0) == before
