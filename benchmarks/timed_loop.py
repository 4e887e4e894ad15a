"""What the timed loop adds to an iteration, against the barest loop that could time anything.

python benchmarks/timed_loop.py
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


def nothing() -> None:
    """The shortest iteration there is."""


def bare(forward: Callable[[], None], synchronize: Callable[[], None], iterations: int) -> float:
    """Seconds of a loop that keeps no samples."""
    started = time.monotonic_ns()
    for _ in range(iterations):
        forward()
        synchronize()
    return (time.monotonic_ns() - started) / 1e9


def main() -> None:
    """Alternate the two and print the difference per iteration."""
    boundaries = multiprocessing.RawArray(c_longlong, ITERATIONS + 1)
    differences = []
    for _ in range(ROUNDS):
        without = bare(nothing, nothing, ITERATIONS)
        timed_loop(nothing, nothing, boundaries, ITERATIONS)
        with_samples = (boundaries[ITERATIONS] - boundaries[0]) / 1e9
        differences.append((with_samples - without) / ITERATIONS * 1e6)
    sys.stdout.write(
        f"timed loop adds {statistics.median(differences):.3f} µs per iteration "
        f"(min {min(differences):.3f}, max {max(differences):.3f}, {ROUNDS} rounds of {ITERATIONS})\n"
    )


if __name__ == "__main__":
    main()
