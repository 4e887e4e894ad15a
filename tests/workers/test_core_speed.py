"""How fast a core is."""

import time

import pytest

from mps_experiments.workers import core_speed
from mps_experiments.workers.core_speed import core_speed_per_us


def test_it_is_the_steps_of_the_fastest_round(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = iter([900_000, 500_000, 250_000, *[800_000] * 20])
    monkeypatch.setattr(core_speed, "_loop_ns", lambda: next(rounds))
    assert core_speed_per_us() == pytest.approx(5000 / 250)


def test_it_takes_a_few_milliseconds_and_is_of_the_order_of_a_python_loop() -> None:
    started = time.process_time()
    assert 1.0 < core_speed_per_us() < 2000.0
    assert time.process_time() - started < 0.1
