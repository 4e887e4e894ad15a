"""Raw samples of one worker."""

import pytest

from mps_experiments.measurement.samples import WorkerSamples
from tests.records import samples


def test_latencies_are_the_differences_of_the_boundaries() -> None:
    worker = WorkerSamples.from_boundaries(3, (1_000, 1_250, 1_700, 1_710))
    assert (worker.rank, worker.start_ns, worker.latencies_ns) == (3, 1_000, (250, 450, 10))


def test_the_end_is_the_last_boundary() -> None:
    assert WorkerSamples.from_boundaries(0, (1_000, 1_250, 1_700)).end_ns == 1_700


def test_a_worker_that_only_started_has_no_latencies_and_ends_where_it_began() -> None:
    worker = WorkerSamples.from_boundaries(0, (1_000,))
    assert (worker.latencies_ns, worker.end_ns, worker.elapsed_s) == ((), 1_000, 0.0)


def test_elapsed_time_and_latencies_are_in_seconds() -> None:
    worker = samples(0, 5, 1_500, 500)
    assert worker.elapsed_s == 2.0
    assert worker.latencies_s().tolist() == [1.5, 0.5]


def test_a_clock_that_runs_backwards_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        WorkerSamples.from_boundaries(0, (1_000, 900))
