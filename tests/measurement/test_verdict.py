"""Which runs have numbers."""

from dataclasses import replace

import pytest

from mps_experiments.measurement.findings import Finding, Severity
from mps_experiments.measurement.samples import WorkerSamples
from mps_experiments.measurement.verdict import Status, Verdict, judge, judge_fault
from tests.fault_records import FINISHED, make_trial
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


def found(check: str, severity: Severity) -> Finding:
    return Finding(check=check, severity=severity, text=f"{check} in figures")


HOT, FOREIGN = found("throttling", Severity.INVALID), found("foreign_gpu", Severity.INVALID)
DRIFT, OUTLIERS = found("drift", Severity.WARNING), found("outliers", Severity.WARNING)


def judged(*findings: Finding, failure: str | None = None, proof_failure: str | None = None) -> Verdict:
    return judge(failure, proof_failure, COMPLETE, 2, 2, findings, "proved by a test")


def test_a_valid_verdict_says_what_was_proved() -> None:
    assert judged().reason == "all iterations measured, proved by a test"


def test_grave_findings_make_the_run_invalid_and_are_joined_without_the_warnings() -> None:
    verdict = judged(HOT, FOREIGN, DRIFT)
    assert (verdict.status, verdict.reason) == (
        Status.INVALID,
        "throttling in figures; foreign_gpu in figures",
    )


def test_warnings_leave_the_run_valid_and_each_check_is_named_once() -> None:
    verdict = judged(DRIFT, OUTLIERS, DRIFT)
    assert (verdict.status, verdict.reason) == (
        Status.VALID,
        "all iterations measured, proved by a test; warnings: drift, outliers",
    )


def test_findings_come_after_a_failure_a_failed_proof_and_missing_iterations() -> None:
    assert judged(HOT, failure="worker 1 died").reason == "worker 1 died"
    assert judged(HOT, proof_failure="not attached").reason == "not attached"
    assert judge(None, None, COMPLETE[:1], 2, 2, (HOT,)).reason == "only 2 of 4 iterations were measured"


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


def test_a_cell_that_has_no_meaning_is_a_success_only_if_it_is_skipped() -> None:
    for status, is_success in ((Status.SKIPPED, True), (Status.INVALID, False), (Status.VALID, True)):
        assert Verdict(status=status, reason="a reason", not_applicable=True).is_success is is_success


def test_a_fault_that_happened_and_was_watched_is_valid_whatever_became_of_the_workers() -> None:
    verdict = judge_fault(None, None, make_trial(), [])
    assert (verdict.status, verdict.reason) == (
        Status.VALID,
        "the fault happened and was watched to the end",
    )


@pytest.mark.parametrize(
    ("failure", "proof_failure", "happened", "reason"),
    [
        ("interrupted", "not attached", False, "interrupted"),
        (None, "not attached", True, "not attached"),
        (None, None, False, "the fault was not watched to the end"),
        ("interrupted", None, True, "interrupted"),
    ],
)
def test_a_fault_that_was_not_watched_in_a_proved_state_is_invalid(
    failure: str | None, proof_failure: str | None, happened: bool, reason: str
) -> None:
    verdict = judge_fault(failure, proof_failure, make_trial() if happened else None, [])
    assert (verdict.status, verdict.reason) == (Status.INVALID, reason)


def test_a_fault_without_effect_is_invalid() -> None:
    unharmed = make_trial("oom", replace(FINISHED, rank=0), FINISHED)
    verdict = judge_fault(None, None, unharmed, [])
    assert verdict.status is Status.INVALID
    assert verdict.reason == "fault=oom had no effect: worker 0 did all of its iterations"
