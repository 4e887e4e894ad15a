"""The measured window of one worker: a start at an agreed time, and the loop that is timed."""

import time
from collections.abc import Callable, MutableSequence
from ctypes import Array, c_longlong

Boundaries = MutableSequence[int] | Array[c_longlong]
_SPIN_NS = 1_000_000  # the last millisecond before the start is not left to the kernel's timer


def wait_until(start_at_ns: int) -> None:
    """Return at this time of the system-wide monotonic clock, in nanoseconds."""
    remaining = start_at_ns - time.monotonic_ns()
    if remaining > _SPIN_NS:
        time.sleep((remaining - _SPIN_NS) / 1e9)
    while time.monotonic_ns() < start_at_ns:
        pass


def timed_loop(
    forward: Callable[[], object],
    synchronize: Callable[[], None],
    boundaries_ns: Boundaries,
    iterations: int,
    report: Callable[[int, object], None] | None = None,
) -> None:
    """The measured window: `iterations` synchronised forwards.

    Args:
        forward: Launches one iteration; may return before the device has finished.
        synchronize: Returns when the device has finished the iteration.
        boundaries_ns: Gets the start, then the end of each iteration, of the system-wide monotonic clock.
        iterations: How many.
        report: Called with the iteration's number and output, inside the window.
    """
    now = time.monotonic_ns
    boundaries_ns[0] = now()
    if report is None:
        for iteration in range(1, iterations + 1):
            forward()
            synchronize()
            boundaries_ns[iteration] = now()
        return
    for iteration in range(1, iterations + 1):
        output = forward()
        synchronize()
        report(iteration, output)
        boundaries_ns[iteration] = now()
