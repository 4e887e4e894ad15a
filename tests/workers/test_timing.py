"""The start at an agreed time, and the loop that is timed."""

import itertools
import time
from collections.abc import Callable

import pytest

from mps_experiments.workers.timing import Beyond, keep_up_load, timed_loop, wait_until


def test_every_iteration_is_one_forward_and_one_synchronise_between_two_boundaries() -> None:
    boundaries, events = [0] * 4, list[str]()
    seen: list[int] = []

    def forward() -> str:
        seen.append(sum(map(bool, boundaries)))
        events.append("forward")
        return "output"

    before = time.monotonic_ns()
    assert timed_loop(forward, lambda: events.append("synchronize"), boundaries, 3) == 3
    after = time.monotonic_ns()
    assert events == ["forward", "synchronize"] * 3
    assert all(earlier <= later for earlier, later in itertools.pairwise([before, *boundaries, after]))
    assert seen == [1, 2, 3], "a boundary is written as soon as its iteration ends"


def test_no_iteration_still_has_a_start() -> None:
    boundaries = [0]
    assert timed_loop(nothing, nothing, boundaries, 0) == 0
    assert boundaries[0] > 0


def test_the_clock_of_the_boundaries_is_fine_enough() -> None:
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


@pytest.mark.parametrize(("window_ms", "room", "done"), [(10, 99, 4), (1000, 5, 5)])
def test_a_window_of_time_ends_with_the_iteration_in_which_it_is_over_or_with_its_room(
    monkeypatch: pytest.MonkeyPatch, window_ms: int, room: int, done: int
) -> None:
    clock = Clock(monkeypatch, 3 * MS)
    boundaries = [0] * (room + 1)
    assert timed_loop(clock.forward, nothing, boundaries, room, clock.now_ns + window_ms * MS) == done
    assert [each - boundaries[0] for each in boundaries[: done + 1]] == [3 * MS * n for n in range(done + 1)]
    assert not any(boundaries[done + 1 :])


def kept(clock: Clock, boundaries: list[int], done: int, is_over: Callable[[], bool]) -> Beyond:
    assert timed_loop(clock.forward, nothing, boundaries, done) == done
    return keep_up_load(clock.forward, nothing, boundaries, done, is_over)


def after(calls: int) -> Callable[[], bool]:
    """Return a function that is true from this call on."""
    counted = itertools.count(1)
    return lambda: next(counted) >= calls


@pytest.mark.parametrize("calls", [1, 4])
def test_load_is_kept_up_until_all_are_done(monkeypatch: pytest.MonkeyPatch, calls: int) -> None:
    boundaries = [0] * 11
    assert kept(Clock(monkeypatch), boundaries, 4, after(calls)) == Beyond()
    assert [(each - boundaries[0]) // MS for each in boundaries[: 4 + calls]] == list(range(4 + calls))
    assert not any(boundaries[4 + calls :])


def test_what_finds_no_room_is_counted_with_its_time_but_for_the_last_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The last iteration is the one in which the last worker became done: it is partly after it."""
    clock = Clock(monkeypatch, 2 * MS)
    boundaries = [0] * 7
    assert kept(clock, boundaries, 4, after(8)) == Beyond(iterations=4, took_ns=8 * MS)
    assert (boundaries[6] - boundaries[0]) == 12 * MS
    assert kept(clock, [0] * 7, 4, after(4)) == Beyond(), "one found no room, and does not count"
