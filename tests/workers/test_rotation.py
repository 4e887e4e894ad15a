"""All workers move on together, each to a core of its own, and come back."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from mps_experiments.workers.rotation import Rotation

DEADLINE_S = 30.0
RING = (5, 6, 7, 9)
PIDS = (100, 101, 102)


class Moves:
    """What `os.sched_setaffinity` was asked for, and the moment at which there were enough."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, enough: int) -> None:
        self.made: list[tuple[int, int]] = []
        self._enough, self._reached = enough, threading.Event()
        monkeypatch.setattr(os, "sched_setaffinity", self._move)

    def _move(self, pid: int, cores: tuple[int]) -> None:
        self.made.append((pid, cores[0]))
        if len(self.made) >= self._enough:
            self._reached.set()

    def wait(self) -> None:
        assert self._reached.wait(DEADLINE_S)

    def by_turn(self) -> list[dict[int, int]]:
        """Return process id -> core after each turn."""
        size = len(PIDS)
        return [dict(self.made[first : first + size]) for first in range(0, len(self.made), size)]


def test_each_turn_takes_every_worker_to_the_next_core_and_no_two_to_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    moves = Moves(monkeypatch, enough=5 * len(PIDS))
    with Rotation(PIDS, RING, 0.001):
        moves.wait()
    *turns, last = moves.by_turn()
    for number, places in enumerate(turns[:5], start=1):
        assert places == {pid: RING[(rank + number) % len(RING)] for rank, pid in enumerate(PIDS)}
    assert last == dict(zip(PIDS, RING, strict=False)), "at the end each is on its own core again"


@pytest.mark.parametrize("ring", [(), (3,)])
def test_without_a_second_core_nobody_is_touched(
    monkeypatch: pytest.MonkeyPatch, ring: tuple[int, ...]
) -> None:
    moves = Moves(monkeypatch, enough=1)
    with Rotation(PIDS[:1], ring, 0.001):
        assert threading.active_count() == len(threading.enumerate())
    assert moves.made == []


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_a_real_process_is_moved_and_one_that_has_died_is_no_problem(
    sleeper: subprocess.Popen[bytes],
) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait(DEADLINE_S)
    ring, seen = sorted(os.sched_getaffinity(0))[:2], set[int]()
    with Rotation((sleeper.pid, dead.pid), ring, 0.001):
        for _ in range(10_000):
            seen |= os.sched_getaffinity(sleeper.pid)
            if set(ring) <= seen:
                break
            threading.Event().wait(0.001)
    assert set(ring) <= seen
    assert os.sched_getaffinity(sleeper.pid) == {ring[0]}
