"""The start at an agreed time, and the loop that is timed."""

import itertools
import sys
import threading
import time
from collections.abc import Callable

import pytest

from mps_experiments.workers.timing import Beyond, keep_up_load, timed_loop, wait_until


def run_loop(iterations: int) -> tuple[list[int], list[str]]:
    """Run a loop; return its boundaries and the order of events."""
    boundaries, events = [0] * (iterations + 1), list[str]()

    def forward() -> str:
        events.append("forward")
        return "output"

    assert timed_loop(forward, lambda: events.append("synchronize"), boundaries, iterations) == iterations
    return boundaries, events


def test_every_boundary_is_written_and_none_goes_back() -> None:
    before = time.monotonic_ns()
    boundaries, _ = run_loop(50)
    after = time.monotonic_ns()
    assert all(earlier <= later for earlier, later in itertools.pairwise([before, *boundaries, after]))


def test_every_iteration_is_one_forward_and_one_synchronise() -> None:
    _, events = run_loop(3)
    assert events == ["forward", "synchronize"] * 3


def test_no_iteration_still_has_a_start() -> None:
    boundaries, events = run_loop(0)
    assert boundaries[0] > 0
    assert events == []


def test_a_boundary_is_written_as_soon_as_its_iteration_ends() -> None:
    boundaries = [0] * 4
    seen: list[int] = []
    timed_loop(lambda: seen.append(sum(1 for each in boundaries if each)), lambda: None, boundaries, 3)
    assert seen == [1, 2, 3]


def test_the_clock_of_the_boundaries_is_fine_enough() -> None:
    assert sys.platform == "linux"
    assert time.get_clock_info("monotonic").resolution <= 1e-6


def test_nobody_starts_before_the_agreed_time_and_a_time_gone_by_is_no_wait() -> None:
    start_ns = time.monotonic_ns() + 3_000_000  # asleep first, then spinning
    wait_until(start_ns)
    assert time.monotonic_ns() >= start_ns
    wait_until(0)


MS = 1_000_000


class Clock:
    """A clock that each forward moves on, in place of `time.monotonic_ns`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *steps_ns: int) -> None:
        self.now_ns, self._steps = 1_000 * MS, itertools.cycle(steps_ns or (MS,))
        monkeypatch.setattr("mps_experiments.workers.timing.time.monotonic_ns", lambda: self.now_ns)

    def forward(self) -> None:
        self.now_ns += next(self._steps)


def nothing() -> None:
    """Wait for no device."""


def test_a_window_of_time_ends_with_the_iteration_in_which_it_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch, 3 * MS)
    boundaries = [0] * 100
    assert timed_loop(clock.forward, nothing, boundaries, 99, clock.now_ns + 10 * MS) == 4
    assert [each - boundaries[0] for each in boundaries[:5]] == [0, 3 * MS, 6 * MS, 9 * MS, 12 * MS]
    assert not any(boundaries[5:])


def test_a_window_of_time_never_exceeds_its_room(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    assert timed_loop(clock.forward, nothing, [0] * 6, 5, clock.now_ns + 1000 * MS) == 5


def kept(clock: Clock, boundaries: list[int], done: int, is_over: Callable[[], bool]) -> Beyond:
    assert timed_loop(clock.forward, nothing, boundaries, done) == done
    return keep_up_load(clock.forward, nothing, boundaries, done, is_over)


def after(calls: int) -> Callable[[], bool]:
    """Return a function that is true from this call on."""
    counted = itertools.count(1)
    return lambda: next(counted) >= calls


def test_load_is_kept_up_until_all_are_done_and_recorded_as_far_as_there_is_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    boundaries = [0] * 11
    assert kept(Clock(monkeypatch), boundaries, 4, after(4)) == Beyond()
    assert [(each - boundaries[0]) // MS for each in boundaries[:8]] == list(range(8))
    assert not any(boundaries[8:])


def test_what_finds_no_room_is_counted_with_its_time_but_for_the_last_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The last iteration is the one in which the last worker became done: it is partly after it."""
    clock = Clock(monkeypatch, 2 * MS)
    boundaries = [0] * 7
    assert kept(clock, boundaries, 4, after(8)) == Beyond(iterations=4, took_ns=8 * MS)
    assert (boundaries[6] - boundaries[0]) == 12 * MS
    assert kept(clock, [0] * 7, 4, after(4)) == Beyond(), "one found no room, and does not count"


def test_a_worker_that_is_the_last_adds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    boundaries = [0] * 9
    assert kept(Clock(monkeypatch), boundaries, 4, after(1)) == Beyond()
    assert not any(boundaries[5:])


def test_workers_that_share_their_counts_stop_together() -> None:
    """Two threads, the second slower; the first goes on until the second is done."""
    measured, extra = [0, 0], [0, 0]

    def work(rank: int, nap_s: float) -> None:
        boundaries = [0] * 1000

        def forward() -> None:
            time.sleep(nap_s)

        measured[rank] = timed_loop(forward, nothing, boundaries, 5)
        keep_up_load(forward, nothing, boundaries, 5, lambda: all(measured))
        extra[rank] = sum(map(bool, boundaries)) - 6

    threads = [threading.Thread(target=work, args=(rank, nap_s)) for rank, nap_s in ((0, 0.001), (1, 0.02))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30.0)
    assert measured == [5, 5]
    assert extra[0] > 5
    assert extra[1] == 0
