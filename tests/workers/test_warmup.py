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


@pytest.mark.parametrize("iterations", [1, 2, 7])
def test_a_number_of_iterations_is_that_number_however_long_they_take(
    monkeypatch: pytest.MonkeyPatch, iterations: int
) -> None:
    clock = Clock(monkeypatch, 100.0)
    assert clock.warm_up(iterations) == (f"output {iterations}", iterations)


def test_none_at_all_has_no_output(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Clock(monkeypatch, 1.0).warm_up(0) == (None, 0)


def test_latency_that_is_steady_at_once_takes_two_groups_after_the_slow_first_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert Clock(monkeypatch, 2.0, 0.01).warm_up(None) == ("output 7", 7)


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


def test_even_a_very_slow_model_has_its_second_iteration(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first one compiles or tunes."""
    assert Clock(monkeypatch, 60.0, 10.0).warm_up(None) == ("output 2", 2)
