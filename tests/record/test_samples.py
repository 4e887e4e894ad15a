"""Raw samples of one worker."""

from dataclasses import replace

import pytest

from mps_experiments.record.samples import CondensedSamples, WorkerSamples
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


def test_iterations_that_only_kept_up_the_load_are_not_the_workers_own() -> None:
    worker = WorkerSamples.from_boundaries(0, (1_000, 1_250, 1_700, 1_710, 1_800), measured=2)
    assert (worker.latencies_ns, worker.kept_ns) == ((250, 450), (10, 90))
    assert (worker.iteration_count, worker.end_ns, worker.elapsed_s) == (2, 1_700, 700e-9)
    assert worker.boundaries_ns().tolist() == [1_000, 1_250, 1_700, 1_710, 1_800]
    assert replace(worker, beyond=3, beyond_ns=200).at_work_s == pytest.approx(1_000e-9)


def test_condensed_samples_were_as_long_at_work() -> None:
    whole = WorkerSamples(rank=1, start_ns=5, latencies_ns=(10, 20), kept_ns=(30,), beyond=1, beyond_ns=40)
    short = CondensedSamples.of(whole)
    assert (short.at_work_s, short.elapsed_s) == (whole.at_work_s, whole.elapsed_s) == (100e-9, 30e-9)
    assert (short.iteration_count, short.kept_ns) == (2, ())


def test_a_clock_that_runs_backwards_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        WorkerSamples.from_boundaries(0, (1_000, 900))
    with pytest.raises(ValueError, match="negative"):
        WorkerSamples(rank=0, start_ns=0, latencies_ns=(1,), kept_ns=(-1,))
