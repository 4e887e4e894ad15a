"""The measured window of one worker: an agreed start, the loop that is timed, the load kept up after it."""

import os
import time
from collections.abc import Callable, MutableSequence, Sequence
from ctypes import Array, c_longlong
from dataclasses import dataclass

Boundaries = MutableSequence[int] | Array[c_longlong]
Counts = Boundaries  # by rank
_SPIN_NS = 1_000_000  # the last millisecond before the start is not left to the kernel's timer
_NEVER = 2**63 - 1


def wait_until(start_at_ns: int) -> None:
    """Return at this time of the system-wide monotonic clock, in nanoseconds."""
    remaining = start_at_ns - time.monotonic_ns()
    if remaining > _SPIN_NS:
        time.sleep((remaining - _SPIN_NS) / 1e9)
    while time.monotonic_ns() < start_at_ns:
        pass


class Appointments:
    """What is due at agreed times while a worker iterates: the end of its window, the moves to the next core.

    Args:
        start_ns: The agreed start of all workers.
        duration_ns: When the window ends after it; None ends it by the number of iterations.
        ring: Cores to move over, beginning with the worker's own; fewer than two move nothing.
        move_every_ns: Time between two moves.
    """

    def __init__(
        self, start_ns: int, duration_ns: int | None, ring: Sequence[int] = (), move_every_ns: int = 0
    ) -> None:
        self._start_ns = start_ns
        self._end_ns = _NEVER if duration_ns is None else start_ns + duration_ns
        self._ring, self._move_every_ns = ring, move_every_ns
        self._moves = len(ring) > 1 and move_every_ns > 0
        self.due_ns = self._next(start_ns)

    def keep(self, now_ns: int) -> bool:
        """Do what is due; False once the window is over."""
        if self._moves:
            turn = (now_ns - self._start_ns) // self._move_every_ns
            os.sched_setaffinity(0, (self._ring[turn % len(self._ring)],))
        self.due_ns = self._next(now_ns)
        return now_ns < self._end_ns

    def go_on(self) -> None:
        """Forget the end: from now on only the moves are due."""
        self._end_ns = _NEVER
        self.due_ns = self._next(time.monotonic_ns())

    def _next(self, now_ns: int) -> int:
        if not self._moves:
            return self._end_ns
        turn = (now_ns - self._start_ns) // self._move_every_ns
        return min(self._end_ns, self._start_ns + (turn + 1) * self._move_every_ns)


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
    appointments: Appointments | None = None,
) -> int:
    """Run the measured window: synchronised forwards, up to a number or to the end of the time.

    Args:
        forward: Launches one iteration; may return before the device has finished.
        synchronize: Returns when the device has finished the iteration.
        boundaries_ns: Gets the start, then the end of each iteration, of the system-wide monotonic clock.
        limit: How many iterations at most.
        appointments: What is due meanwhile; None if nothing is.

    Returns:
        How many iterations were done.
    """
    now = time.monotonic_ns
    due_ns = appointments.due_ns if appointments else _NEVER
    boundaries_ns[0] = now()
    for iteration in range(1, limit + 1):
        forward()
        synchronize()
        ended = boundaries_ns[iteration] = now()
        if ended >= due_ns and appointments:
            if not appointments.keep(ended):
                return iteration
            due_ns = appointments.due_ns
    return limit


def keep_up_load(
    forward: Callable[[], object],
    synchronize: Callable[[], None],
    boundaries_ns: Boundaries,
    done: int,
    is_over: Callable[[], bool],
    appointments: Appointments,
) -> Beyond:
    """Go on as in the measured window until all workers are done.

    Args:
        forward: As in `timed_loop`.
        synchronize: As in `timed_loop`.
        boundaries_ns: Gets the ends of these iterations, too, as far as there is room.
        done: How many iterations it holds already.
        is_over: Whether all workers are done.
        appointments: What is due meanwhile.

    Returns:
        What found no room. The iteration in which the last worker became done is not counted.
    """
    now = time.monotonic_ns
    appointments.go_on()
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
        if ended >= appointments.due_ns:
            appointments.keep(ended)
    return Beyond(iterations=beyond, took_ns=counted_ns - full_ns) if beyond else Beyond()
