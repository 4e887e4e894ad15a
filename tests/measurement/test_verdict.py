"""Which runs have numbers."""

import pytest

from mps_experiments.measurement.samples import WorkerSamples
from mps_experiments.measurement.verdict import Status, Verdict, judge
from tests.records import samples

COMPLETE = (samples(0, 0, 1, 1), samples(1, 0, 1, 1))


def test_a_run_with_every_iteration_and_its_proof_is_valid() -> None:
    verdict = judge(None, None, COMPLETE, worker_count=2, iterations_per_worker=2)
    assert verdict.status is Status.VALID


def test_a_failure_makes_the_run_invalid_and_comes_before_the_proof() -> None:
    verdict = judge("worker 1 died", "not attached", COMPLETE, worker_count=2, iterations_per_worker=2)
    assert (verdict.status, verdict.reason) == (Status.INVALID, "worker 1 died")


def test_a_failed_proof_makes_a_complete_run_invalid() -> None:
    verdict = judge(None, "not attached", COMPLETE, worker_count=2, iterations_per_worker=2)
    assert (verdict.status, verdict.reason) == (Status.INVALID, "not attached")


@pytest.mark.parametrize(
    ("workers", "finished"),
    [
        ((), 0),
        (COMPLETE[:1], 2),
        ((samples(0, 0, 1, 1), samples(1, 0, 1)), 3),
        ((samples(0, 0, 1, 1, 1, 1),), 4),
    ],
    ids=["nothing", "a worker is missing", "an iteration is missing", "one worker did the work of two"],
)
def test_missing_iterations_make_the_run_invalid(workers: tuple[WorkerSamples, ...], finished: int) -> None:
    verdict = judge(None, None, workers, worker_count=2, iterations_per_worker=2)
    assert (verdict.status, verdict.reason) == (
        Status.INVALID,
        f"only {finished} of 4 iterations were measured",
    )


def test_a_verdict_needs_a_reason() -> None:
    with pytest.raises(ValueError, match="reason"):
        Verdict(status=Status.VALID, reason="")


@pytest.mark.parametrize(
    ("status", "for_want_of_hardware", "is_success"),
    [
        (Status.VALID, False, True),
        (Status.SKIPPED, True, True),
        (Status.SKIPPED, False, False),
        (Status.INVALID, False, False),
        (Status.INVALID, True, False),
    ],
)
def test_a_sweep_succeeds_only_with_valid_cells_and_those_the_machine_lacks_hardware_for(
    status: Status, for_want_of_hardware: bool, is_success: bool
) -> None:
    verdict = Verdict(status=status, reason="a reason", for_want_of_hardware=for_want_of_hardware)
    assert verdict.is_success is is_success
