"""Warm-up before the measured window: a fixed number of iterations, or until latency is steady."""

import statistics
import time
from collections.abc import Callable

_GROUP = 3  # iterations whose median is compared with that of the same number before
_STEADY = 0.1  # relative difference of the two medians
_LEAST = 2
_MOST = 200
_MOST_S = 3.0  # after the first iteration, which may compile or tune for long


def warm_up(
    forward: Callable[[], object], synchronize: Callable[[], None], iterations: int | None
) -> tuple[object, int]:
    """Run iterations that are not measured.

    Args:
        forward: Launches one iteration.
        synchronize: Returns when the device has finished it.
        iterations: Their number. None runs until the median latency of three is within 10 % of that of the
            three before: at least two iterations, at most 200 or 3 s after the first one.

    Returns:
        The last output, and the number of iterations run.
    """
    output: object = None
    latencies_s: list[float] = []
    first_ended = 0.0
    while not _is_warm(latencies_s, iterations, first_ended):
        started = time.monotonic()
        output = forward()
        synchronize()
        ended = time.monotonic()
        first_ended = first_ended or ended
        latencies_s.append(ended - started)
    return output, len(latencies_s)


def _is_warm(latencies_s: list[float], iterations: int | None, first_ended: float) -> bool:
    done = len(latencies_s)
    if iterations is not None:
        return done >= iterations
    if done < _LEAST:
        return False
    if done >= _MOST or time.monotonic() - first_ended > _MOST_S:
        return True
    if done < 2 * _GROUP + 1:  # the first one is slow in any case
        return False
    earlier = statistics.median(latencies_s[-2 * _GROUP : -_GROUP])
    return abs(statistics.median(latencies_s[-_GROUP:]) - earlier) <= _STEADY * earlier
