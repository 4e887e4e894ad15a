"""The measured window of one worker: an agreed start, the loop that is timed, the load kept up after it."""

import time
from collections.abc import Callable, MutableSequence
from ctypes import Array, c_longlong
from dataclasses import dataclass

Boundaries = MutableSequence[int] | Array[c_longlong]
Counts = Boundaries  # by rank
_SPIN_NS = 1_000_000  # the last millisecond before the start is not left to the kernel's timer
NEVER = 2**63 - 1  # of the monotonic clock


def wait_until(start_at_ns: int) -> None:
    """Return at this time of the system-wide monotonic clock, in nanoseconds."""
    remaining = start_at_ns - time.monotonic_ns()
    if remaining > _SPIN_NS:
        time.sleep((remaining - _SPIN_NS) / 1e9)
    while time.monotonic_ns() < start_at_ns:
        pass


@dataclass(frozen=True, kw_only=True)
class Beyond:
    """Whole iterations for which there was no room, and the nanoseconds that they took."""

    iterations: int = 0
    took_ns: int = 0


def timed_loop(
    forward: Callable[[], object],
    synchronize: Callable[[], None],
    boundaries_ns: Boundaries,
    limit: int,
    end_ns: int = NEVER,
) -> int:
    """Run the measured window: synchronised forwards, up to a number or to the end of the time.

    Args:
        forward: Launches one iteration; may return before the device has finished.
        synchronize: Returns when the device has finished the iteration.
        boundaries_ns: Gets the start, then the end of each iteration, of the system-wide monotonic clock.
        limit: How many iterations at most.
        end_ns: When the window is over; the iteration in which that happens is the last.

    Returns:
        How many iterations were done.
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
    """Go on as in the measured window until all workers are done.

    Args:
        forward: As in `timed_loop`.
        synchronize: As in `timed_loop`.
        boundaries_ns: Gets the ends of these iterations, too, as far as there is room.
        done: How many iterations it holds already.
        is_over: Whether all workers are done.

    Returns:
        What found no room. The iteration in which the last worker became done is not counted.
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
