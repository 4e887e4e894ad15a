"""How long a worker warms up."""

import itertools

import pytest

from mps_experiments.workers import warmup
from mps_experiments.workers.warmup import warm_up


class Clock:
    """A clock that each forward moves on by the next of these latencies; the last one stays."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *latencies_s: float) -> None:
        self.now_s, self.calls = 100.0, 0
        self._latencies_s = itertools.chain(latencies_s, itertools.repeat(latencies_s[-1]))
        monkeypatch.setattr("mps_experiments.workers.warmup.time.monotonic", lambda: self.now_s)

    def forward(self) -> str:
        self.calls += 1
        return f"output {self.calls}"

    def synchronize(self) -> None:
        self.now_s += next(self._latencies_s)

    def warm_up(self, iterations: int | None) -> tuple[object, int]:
        return warm_up(self.forward, self.synchronize, iterations)


@pytest.mark.parametrize(
    ("latencies_s", "asked", "done"),
    [
        ((1.0,), 0, 0),
        ((100.0,), 1, 1),
        ((100.0,), 7, 7),  # however long they take
        ((2.0, 0.01), None, 7),  # steady at once: two groups after the slow first one
        ((60.0, 10.0), None, 2),  # even a slow model has a second one: the first compiles or tunes
    ],
)
def test_a_number_is_that_number_and_auto_is_two_at_least(
    monkeypatch: pytest.MonkeyPatch, latencies_s: tuple[float, ...], asked: int | None, done: int
) -> None:
    assert Clock(monkeypatch, *latencies_s).warm_up(asked) == (f"output {done}" if done else None, done)


def test_falling_latency_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    falling = [0.1 * 0.8**number for number in range(12)]
    _, done = Clock(monkeypatch, 2.0, *falling, falling[-1]).warm_up(None)
    assert 13 <= done <= 17, "until the median of three is that of the three before"


def test_latency_that_never_settles_ends_the_warm_up_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    growing = [0.01 * 1.5**number for number in range(40)]
    clock = Clock(monkeypatch, 5.0, *growing)
    _, done = clock.warm_up(None)
    assert clock.now_s - 105.0 > warmup._MOST_S
    assert clock.now_s - growing[done - 2] - 105.0 <= warmup._MOST_S, "one iteration too many at most"


def test_short_iterations_that_never_settle_end_after_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    unsteady = itertools.islice(itertools.cycle([1e-3, 1e-3, 1e-3, 2e-3, 2e-3, 2e-3]), 300)
    _, done = Clock(monkeypatch, 1.0, *unsteady).warm_up(None)
    assert done <= warmup._MOST
