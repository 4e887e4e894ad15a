"""The start at an agreed time, and the loop that is timed."""

import itertools
import sys
import time

from mps_experiments.workers.timing import timed_loop, wait_until


def run_loop(iterations: int, with_report: bool = False) -> tuple[list[int], list[str]]:
    """Boundaries and the order of events of a loop."""
    boundaries, events = [0] * (iterations + 1), list[str]()

    def forward() -> str:
        events.append("forward")
        return "output"

    def report(iteration: int, output: object) -> None:
        events.append(f"report {iteration} {output}")

    timed_loop(
        forward, lambda: events.append("synchronize"), boundaries, iterations, report if with_report else None
    )
    return boundaries, events


def test_every_boundary_is_written_and_none_goes_back() -> None:
    before = time.monotonic_ns()
    boundaries, _ = run_loop(50)
    after = time.monotonic_ns()
    assert all(earlier <= later for earlier, later in itertools.pairwise([before, *boundaries, after]))


def test_every_iteration_is_one_forward_and_one_synchronise() -> None:
    _, events = run_loop(3)
    assert events == ["forward", "synchronize"] * 3


def test_a_report_comes_after_the_synchronise_with_number_and_output() -> None:
    boundaries, events = run_loop(2, with_report=True)
    assert events == [
        "forward",
        "synchronize",
        "report 1 output",
        "forward",
        "synchronize",
        "report 2 output",
    ]
    assert all(boundaries)


def test_no_iteration_still_has_a_start() -> None:
    boundaries, events = run_loop(0)
    assert boundaries[0] > 0
    assert events == []


def test_a_boundary_is_written_as_soon_as_its_iteration_ends() -> None:
    boundaries = [0] * 4
    seen: list[int] = []
    timed_loop(lambda: seen.append(sum(1 for each in boundaries if each)), lambda: None, boundaries, 3)
    assert seen == [1, 2, 3]


def test_the_clock_of_the_boundaries_is_fine_enough() -> None:
    assert sys.platform == "linux"
    assert time.get_clock_info("monotonic").resolution <= 1e-6


def test_nobody_starts_before_the_agreed_time_and_a_time_gone_by_is_no_wait() -> None:
    start_ns = time.monotonic_ns() + 3_000_000  # asleep first, then spinning
    wait_until(start_ns)
    assert time.monotonic_ns() >= start_ns
    wait_until(0)
