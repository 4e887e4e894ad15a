"""Which runs have numbers."""

from dataclasses import replace

import pytest

from mps_experiments.record.findings import Finding, Severity
from mps_experiments.record.samples import WorkerSamples
from mps_experiments.record.verdict import Status, Verdict, judge, judge_fault
from tests.fault_records import FINISHED, make_trial
from tests.records import samples

COMPLETE = (samples(0, 0, 1, 1), samples(1, 0, 1, 1))


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


VALID, INVALID, SKIPPED = Status.VALID, Status.INVALID, Status.SKIPPED


@pytest.mark.parametrize(
    ("verdict", "status", "reason"),
    [
        (judged(), VALID, "all iterations measured, proved by a test"),
        (
            judged(DRIFT, OUTLIERS, DRIFT),
            VALID,
            "all iterations measured, proved by a test; warnings: drift, outliers",
        ),
        (judged(HOT, FOREIGN, DRIFT), INVALID, "throttling in figures; foreign_gpu in figures"),
        (judged(proof_failure="not attached"), INVALID, "not attached"),
        (judged(HOT, proof_failure="not attached"), INVALID, "not attached"),
        (judged(HOT, failure="worker 1 died", proof_failure="not attached"), INVALID, "worker 1 died"),
        (
            judge(None, None, COMPLETE[:1], 2, 2, (HOT,)),
            INVALID,
            "only 2 of 4 iterations were measured",
        ),
    ],
)
def test_a_failure_comes_before_the_proof_and_that_before_the_findings(
    verdict: Verdict, status: Status, reason: str
) -> None:
    assert (verdict.status, verdict.reason) == (status, reason)


def test_a_verdict_needs_a_reason() -> None:
    with pytest.raises(ValueError, match="reason"):
        Verdict(status=Status.VALID, reason="")


@pytest.mark.parametrize(
    ("status", "fields", "is_success"),
    [
        (VALID, {}, True),
        (VALID, {"not_applicable": True}, True),
        (SKIPPED, {}, False),
        (SKIPPED, {"for_want_of_hardware": True}, True),
        (SKIPPED, {"not_applicable": True}, True),
        (INVALID, {}, False),
        (INVALID, {"for_want_of_hardware": True}, False),
        (INVALID, {"not_applicable": True}, False),
    ],
)
def test_a_sweep_succeeds_with_cells_that_are_valid_or_skipped_with_good_reason(
    status: Status, fields: dict[str, bool], is_success: bool
) -> None:
    assert Verdict(status=status, reason="a reason", **fields).is_success is is_success


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
