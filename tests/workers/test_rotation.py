"""All workers move on together, each to a core of its own, and come back."""

import os
import subprocess
import sys
import threading

import pytest

from mps_experiments.workers.rotation import Rotation
from tests.fakes.plans import wait_until

DEADLINE_S = 30.0
RING = (5, 6, 7, 9)
PIDS = (100, 101, 102)


@pytest.fixture
def moves(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Record what `os.sched_setaffinity` is asked for: process id and core."""
    made: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "sched_setaffinity", lambda pid, cores: made.append((pid, cores[0])))
    return made


def test_each_turn_takes_every_worker_to_the_next_core_and_no_two_to_one(
    moves: list[tuple[int, int]],
) -> None:
    size = len(PIDS)
    with Rotation(PIDS, RING, 0.001):
        wait_until(lambda: len(moves) >= 5 * size, "five turns are over")
    *turns, last = (dict(moves[first : first + size]) for first in range(0, len(moves), size))
    for number, places in enumerate(turns[:5], start=1):
        assert places == {pid: RING[(rank + number) % len(RING)] for rank, pid in enumerate(PIDS)}
    assert last == dict(zip(PIDS, RING, strict=False)), "at the end each is on its own core again"


@pytest.mark.parametrize("ring", [(), (3,)])
def test_without_a_second_core_nobody_is_touched(moves: list[tuple[int, int]], ring: tuple[int, ...]) -> None:
    with Rotation(PIDS[:1], ring, 0.001):
        assert "rotation" not in [thread.name for thread in threading.enumerate()]
    assert moves == []


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_a_real_process_is_moved_and_one_that_has_died_is_no_problem() -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait(DEADLINE_S)
    ring, seen = sorted(os.sched_getaffinity(0))[:2], set[int]()

    def has_been_on_both() -> bool:
        seen.update(os.sched_getaffinity(sleeper.pid))
        return set(ring) <= seen

    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as sleeper:
        with Rotation((sleeper.pid, dead.pid), ring, 0.001):
            wait_until(has_been_on_both, "it has been on both cores")
        assert os.sched_getaffinity(sleeper.pid) == {ring[0]}
        sleeper.kill()
