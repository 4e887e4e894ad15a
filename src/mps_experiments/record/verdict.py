"""Verdicts: VALID, INVALID or SKIPPED, always with a reason."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from mps_experiments.record.faults import FaultTrial, no_effect
from mps_experiments.record.findings import Finding, Severity
from mps_experiments.record.samples import WorkerSamples


class Status(StrEnum):
    """Usability of a run's numbers."""

    VALID = "VALID"
    INVALID = "INVALID"
    SKIPPED = "SKIPPED"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A status and its reason.

    Attributes:
        for_want_of_hardware: With SKIPPED, this machine lacks what the cell needs; the sweep still succeeds.
            False where the configuration itself rules the cell out.
        not_applicable: With SKIPPED, the cell has no meaning, such as a fault of MPS without MPS; a sweep
            over both still succeeds.
    """

    status: Status
    reason: str
    for_want_of_hardware: bool = False
    not_applicable: bool = False

    def __post_init__(self) -> None:
        if not self.reason:
            raise ValueError("a verdict needs a reason")

    @property
    def is_valid(self) -> bool:
        return self.status is Status.VALID

    @property
    def is_success(self) -> bool:
        """Tell if a sweep with only such cells succeeds."""
        skipped = self.status is Status.SKIPPED and (self.for_want_of_hardware or self.not_applicable)
        return self.is_valid or skipped


def judge(
    failure: str | None,
    proof_failure: str | None,
    workers: Sequence[WorkerSamples],
    worker_count: int,
    iterations_per_worker: int | None,
    findings: Sequence[Finding] = (),
    proved: str = "attachment proved",
) -> Verdict:
    """Judge a run that was started.

    Args:
        failure: Failure while it ran; None or empty if there was none.
        proof_failure: Reason why the claim about MPS does not hold; None if it does.
        workers: Samples of the workers that have any.
        worker_count: Number of workers planned.
        iterations_per_worker: Iterations planned for each; None for as many as the time allowed.
        findings: Findings of the checks.
        proved: The proof in words, for a VALID verdict.
    """
    if failure:
        return Verdict(status=Status.INVALID, reason=failure)
    if proof_failure:
        return Verdict(status=Status.INVALID, reason=proof_failure)
    finished = sum(worker.iteration_count for worker in workers)
    planned = worker_count * (iterations_per_worker or 1)
    enough = finished >= planned if iterations_per_worker is None else finished == planned
    if len(workers) != worker_count or not enough:
        return Verdict(status=Status.INVALID, reason=f"only {finished} of {planned} iterations were measured")
    grave = [finding.text for finding in findings if finding.severity is Severity.INVALID]
    if grave:
        return Verdict(status=Status.INVALID, reason="; ".join(grave))
    warned = ", ".join(dict.fromkeys(finding.check for finding in findings))
    return Verdict(
        status=Status.VALID,
        reason=f"all iterations measured, {proved}" + (f"; warnings: {warned}" if warned else ""),
    )


def judge_fault(
    failure: str | None,
    proof_failure: str | None,
    trial: FaultTrial | None,
    samples: Sequence[WorkerSamples],
) -> Verdict:
    """Judge a run with a fault: VALID if the fault happened and its effect was observed to the end.

    Args:
        failure: Failure before the fault, or one that prevented it.
        proof_failure: Reason why the claim about MPS did not hold before the fault; None if it did.
        trial: The observed trial; None if it was not observed to the end.
        samples: Samples of each worker that started.
    """
    missing = "the fault was not watched to the end" if trial is None else no_effect(trial, samples)
    if problem := failure or proof_failure or missing:
        return Verdict(status=Status.INVALID, reason=problem)
    return Verdict(status=Status.VALID, reason="the fault happened and was watched to the end")
