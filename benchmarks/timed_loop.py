"""What the timed loop adds to an iteration, against the barest loop that could time anything.

python benchmarks/timed_loop.py

Exits with 1 if it is more than a microsecond.
"""

import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable
from ctypes import c_longlong

from mps_experiments.workers.timing import timed_loop

ITERATIONS = 200_000
ROUNDS = 7
MOST_US = 1.0


def nothing() -> None:
    """The shortest iteration there is."""


def bare(forward: Callable[[], None], synchronize: Callable[[], None], iterations: int) -> float:
    """Seconds of a loop that keeps no samples."""
    started = time.monotonic_ns()
    for _ in range(iterations):
        forward()
        synchronize()
    return (time.monotonic_ns() - started) / 1e9


def main() -> int:
    """Alternate the two, print the difference per iteration, and say whether it is small enough."""
    boundaries = multiprocessing.RawArray(c_longlong, ITERATIONS + 1)
    differences = []
    for _ in range(ROUNDS):
        without = bare(nothing, nothing, ITERATIONS)
        timed_loop(nothing, nothing, boundaries, ITERATIONS)
        with_samples = (boundaries[ITERATIONS] - boundaries[0]) / 1e9
        differences.append((with_samples - without) / ITERATIONS * 1e6)
    median = statistics.median(differences)
    sys.stdout.write(
        f"timed loop adds {median:.3f} µs per iteration "
        f"(min {min(differences):.3f}, max {max(differences):.3f}, {ROUNDS} rounds of {ITERATIONS})\n"
    )
    return int(median > MOST_US)


if __name__ == "__main__":
    sys.exit(main())
