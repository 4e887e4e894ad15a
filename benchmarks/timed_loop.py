"""What the timed loop adds to an iteration, against the barest loop that could time anything.

python benchmarks/timed_loop.py

Exits with 1 if it is more than a microsecond, in any of its ways to end and to move over the cores.
"""

import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable
from ctypes import c_longlong

from mps_experiments.workers.timing import Appointments, timed_loop

ITERATIONS = 200_000
ROUNDS = 7
MOST_US = 1.0
LONG_NS = 3600 * 10**9
MOVE_NS = 50_000_000  # workers.rotate_s


def nothing() -> None:
    """The shortest iteration there is."""


def bare(forward: Callable[[], None], synchronize: Callable[[], None], iterations: int) -> float:
    """Seconds of a loop that keeps no samples."""
    started = time.monotonic_ns()
    for _ in range(iterations):
        forward()
        synchronize()
    return (time.monotonic_ns() - started) / 1e9


def appointments(kind: str) -> Appointments | None:
    """What is due meanwhile: nothing, an end that does not come, or moves over all cores as well."""
    now, cores = time.monotonic_ns(), sorted(os.sched_getaffinity(0))
    made = {
        "a number of iterations": None,
        "a time": Appointments(now, LONG_NS),
        "a time, moving over the cores": Appointments(now, LONG_NS, cores, MOVE_NS),
    }
    return made[kind]


def added_us(kind: str) -> list[float]:
    """Microseconds added per iteration, in each round; the two loops take turns."""
    boundaries = multiprocessing.RawArray(c_longlong, ITERATIONS + 1)
    differences, cores = [], os.sched_getaffinity(0)
    for _ in range(ROUNDS):
        without = bare(nothing, nothing, ITERATIONS)
        timed_loop(nothing, nothing, boundaries, ITERATIONS, appointments(kind))
        os.sched_setaffinity(0, cores)
        with_samples = (boundaries[ITERATIONS] - boundaries[0]) / 1e9
        differences.append((with_samples - without) / ITERATIONS * 1e6)
    return differences


def main() -> int:
    """Print the difference per iteration, and say whether it is small enough."""
    medians = []
    for kind in ("a number of iterations", "a time", "a time, moving over the cores"):
        found = added_us(kind)
        medians.append(statistics.median(found))
        sys.stdout.write(
            f"until {kind}: the timed loop adds {medians[-1]:.3f} µs per iteration "
            f"(min {min(found):.3f}, max {max(found):.3f}, {ROUNDS} rounds of {ITERATIONS})\n"
        )
    return int(max(medians) > MOST_US)


if __name__ == "__main__":
    sys.exit(main())
