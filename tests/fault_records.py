"""Trials and records of runs with a fault; times are in milliseconds, so that a head can check a test."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mps_experiments.record.faults import HITS_EVERY_CLIENT, Fate, FaultTrial, Newcomer, Outcome
from mps_experiments.record.measurement import Measurement, WorkerRecord
from mps_experiments.record.samples import WorkerSamples
from mps_experiments.record.verdict import Status, Verdict
from tests.records import make_measurement, samples

MS = 1_000_000
FAULT_MS = 400
HAPPENED = Verdict(status=Status.VALID, reason="the fault happened and was watched to the end")
TOO_LATE = Verdict(status=Status.INVALID, reason="worker 0 did all of its iterations before it was hit")
NOT_APPLICABLE = Verdict(
    status=Status.SKIPPED,
    reason="fault=server_kill needs an MPS daemon: there is none with mps=off",
    not_applicable=True,
)

KILLED = Fate(rank=0, outcome=Outcome.DIED, ended_ns=FAULT_MS * MS, text="was killed by SIGKILL")
FINISHED = Fate(rank=1, outcome=Outcome.FINISHED)
FAILED = Fate(rank=1, outcome=Outcome.FAILED, ended_ns=FAULT_MS * MS, text="failed (measured window): lost")


def newcomer(asked_ms: int, left_ms: int, **changed: Any) -> Newcomer:
    """A client that was served half way, with MPS."""
    middle_ns = (asked_ms + left_ms) * MS // 2
    served = Newcomer(
        asked_ns=asked_ms * MS,
        served_ns=middle_ns,
        result_ns=middle_ns,
        left_ns=left_ms * MS,
        start_s=0.05,
        attached=True,
        failures=(),
    )
    return replace(served, **changed)


def make_trial(
    kind: str = "kill",
    *fates: Fate,
    worker: int = 0,
    injected_ms: int = FAULT_MS,
    came: Newcomer | None = None,
    **changed: Any,
) -> FaultTrial:
    """A trial; by default worker 0 was killed, worker 1 finished, and nobody came."""
    trial = FaultTrial(
        kind=kind,
        worker=worker,
        trial=0,
        at=0.5,
        injected_ns=injected_ms * MS,
        injected_after=2,
        fates=fates or (KILLED, FINISHED),
        server_states=(),
        newcomer=came,
    )
    return replace(trial, **changed)


def faulty_run(
    record_id: str,
    kind: str = "kill",
    *,
    mps: str = "off",
    number: int = 0,
    latencies_ms: Mapping[int, Sequence[int]] | None = None,
    trial: FaultTrial | None = None,
    verdict: Verdict = HAPPENED,
    options: dict[str, Any] | None = None,
    **cell: Any,
) -> Measurement:
    """The record of one trial with two workers that were to do four iterations each.

    Args:
        record_id: The record's.
        kind: Of the fault.
        mps: State of MPS.
        number: Of the trial.
        latencies_ms: Rank -> each iteration; by default worker 0 does two.
        trial: What was watched; None makes one for a VALID run, in which the second finished.
        verdict: The verdict.
        options: Of the configuration's group `fault`.
        cell: For `make_measurement`.
    """
    run = make_measurement(
        record_id, mps=mps, procs=2, times=4, fault=kind, trial=number, verdict=verdict, **cell
    )
    latencies = latencies_ms or {0: (100, 100), 1: (100, 100, 100, 200)}
    fates = (replace(FAILED, rank=0), FAILED) if kind in HITS_EVERY_CLIENT else ()
    if trial is None and verdict.status is Status.VALID:
        trial = make_trial(kind, *fates, trial=number)
    config = run.config | {"fault": {"kind": kind, "worker": 0, "at": 0.5, "trials": 5} | (options or {})}
    name = f"{run.name} fault={kind} trial={number}"
    workers = tuple(
        _with_samples(worker, samples(worker.rank, 0, *latencies[worker.rank])) for worker in run.workers
    )
    return replace(run, name=name, fault=trial, config=config, workers=workers)


def _with_samples(worker: WorkerRecord, own: WorkerSamples) -> WorkerRecord:
    return replace(worker, samples=own)


def alone(record_id: str = "alone", *, mps: str = "off", makespan_s: float = 0.4, **cell: Any) -> Measurement:
    """The ordinary run of one process that the survivors of `faulty_run` are compared with."""
    return make_measurement(record_id, mps=mps, procs=1, times=4, makespan_s=makespan_s, **cell)
