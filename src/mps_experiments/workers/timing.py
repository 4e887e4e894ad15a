"""Measured window of one worker: the agreed start, the timed loop, and the load kept up after it."""

import time
from collections.abc import Callable, MutableSequence
from ctypes import Array, c_longlong
from dataclasses import dataclass

Boundaries = MutableSequence[int] | Array[c_longlong]
Counts = Boundaries  # by rank
_SPIN_NS = 1_000_000  # spin for the last millisecond: the kernel's timer is not that exact
NEVER = 2**63 - 1  # of the monotonic clock


def wait_until(start_at_ns: int) -> None:
    """Wait until this time of the system-wide monotonic clock, in nanoseconds."""
    remaining = start_at_ns - time.monotonic_ns()
    if remaining > _SPIN_NS:
        time.sleep((remaining - _SPIN_NS) / 1e9)
    while time.monotonic_ns() < start_at_ns:
        pass


@dataclass(frozen=True, kw_only=True)
class Beyond:
    """Whole iterations whose times did not fit into shared memory, and the nanoseconds that they took."""

    iterations: int = 0
    took_ns: int = 0


def timed_loop(
    forward: Callable[[], object],
    synchronize: Callable[[], None],
    boundaries_ns: Boundaries,
    limit: int,
    end_ns: int = NEVER,
) -> int:
    """Run the measured window: synchronised iterations, up to a number or to the end of the time.

    Args:
        forward: Launches one iteration; may return before the device has finished.
        synchronize: Returns when the device has finished the iteration.
        boundaries_ns: Receives the start, then the end of each iteration, on the system-wide monotonic clock.
        limit: The most iterations to run.
        end_ns: End of the window; the iteration under way at that time is the last.

    Returns:
        The number of iterations done.
    """
    now = time.monotonic_ns
    boundaries_ns[0] = now()
    for iteration in range(1, limit + 1):
        forward()
        synchronize()
        ended = boundaries_ns[iteration] = now()
        if ended >= end_ns:
            return iteration
    return limit


def keep_up_load(
    forward: Callable[[], object],
    synchronize: Callable[[], None],
    boundaries_ns: Boundaries,
    done: int,
    is_over: Callable[[], bool],
) -> Beyond:
    """Run further iterations, as in the measured window, until all workers are done.

    Args:
        forward: As in `timed_loop`.
        synchronize: As in `timed_loop`.
        boundaries_ns: Receives the ends of these iterations, too, as long as there is room.
        done: Number of iterations it already holds.
        is_over: Returns True once all workers are done.

    Returns:
        The iterations that found no room, without the one during which the last worker finished.
    """
    now = time.monotonic_ns
    room, last = len(boundaries_ns) - 1, done
    full_ns = counted_ns = ended = boundaries_ns[done]
    beyond = pending = 0
    while not is_over():
        beyond, counted_ns = pending, ended
        forward()
        synchronize()
        ended = now()
        if last < room:
            last += 1
            boundaries_ns[last] = full_ns = ended
        else:
            pending += 1
    return Beyond(iterations=beyond, took_ns=counted_ns - full_ns) if beyond else Beyond()
