"""Measure the current speed of a worker's CPU core.

Virtual cores differ by a factor of two and change within seconds.
"""

import time

_STEPS = 5000
_ROUNDS = 8


def core_speed_per_us() -> float:
    """Return the steps per microsecond that the core does of an empty loop. Takes about a millisecond."""
    best_ns = min(_loop_ns() for _ in range(_ROUNDS))  # the least disturbed round
    return _STEPS * 1e3 / best_ns


def _loop_ns() -> int:
    started = time.perf_counter_ns()
    for _ in range(_STEPS):
        pass
    return time.perf_counter_ns() - started
