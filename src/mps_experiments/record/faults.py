"""Observations from one trial of a fault, and the figures that follow from them. Pure.

Names that end in ``_ns`` are times of the system-wide monotonic clock, in nanoseconds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from mps_experiments.record.samples import WorkerSamples

HITS_EVERY_CLIENT = ("server_kill", "daemon_kill")


class Outcome(StrEnum):
    """A worker's end in a trial."""

    FINISHED = "finished"
    """It did all of its iterations."""
    FAILED = "failed"
    """It saw an error and gave up."""
    DIED = "died"
    """It was gone without reporting an error."""
    STALLED = "stalled"
    """It was alive but did nothing more."""


@dataclass(frozen=True, kw_only=True)
class Fate:
    """One worker's end in a trial.

    Attributes:
        ended_ns: Time at which the runner noticed its failure or death or gave up on it; None if it finished.
        text: The error it saw, or the way it ended; empty if it finished.
    """

    rank: int
    outcome: Outcome
    ended_ns: int | None = None
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class ServerState:
    """The MPS daemon's answer about its servers, valid from this moment until the next entry.

    Attributes:
        servers: Process id -> state in the daemon's words, such as ``ACTIVE``; empty if there is no server.
        no_answer: Reason why the daemon could not be asked; None if it answered.
    """

    at_ns: int
    servers: dict[int, str]
    no_answer: str | None = None

    @property
    def in_words(self) -> str:
        """Return the state in words: ``ACTIVE``, ``no server``, ``no daemon``, ..."""
        if self.no_answer is not None:
            return "no daemon"
        return ", ".join(sorted(self.servers.values())) or "no server"


@dataclass(frozen=True, kw_only=True)
class Newcomer:
    """A new client that asked to be served after the fault: a worker with a new replica.

    Attributes:
        asked_ns: Start of its first process.
        served_ns: End of its first operation on the device; None if there was none in time.
        result_ns: End of its first forward; None if there was none.
        left_ns: End of its last process.
        start_s: Seconds from the start of the served attempt to its first operation.
        attached: True if our MPS server listed it as a client once it was served; None if it was not served.
        failures: Errors of earlier attempts, each a new process.
    """

    asked_ns: int
    served_ns: int | None
    result_ns: int | None
    left_ns: int
    start_s: float | None
    attached: bool | None
    failures: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class DeviceMemory:
    """Device memory in use by any process, in bytes, as NVML counts it.

    Attributes:
        before: Before the run began.
        workers_gone: After the last worker was gone; with MPS, daemon and server were still there.
        end: After everything was gone.
    """

    before: int
    workers_gone: int
    end: int


@dataclass(frozen=True, kw_only=True)
class FaultTrial:
    """One trial of a fault.

    Attributes:
        worker: Rank of the worker that was hit, or whose progress set the moment.
        at: Share of that worker's iterations after which the fault was to happen.
        injected_after: Number of iterations that worker had done by then.
        fates: One per worker, by rank.
        server_states: The daemon's account of its servers, one entry for each change; empty without MPS.
        newcomer: None if no new client was sent.
        memory: None where NVML does not report it.
    """

    kind: str
    worker: int
    trial: int
    at: float
    injected_ns: int
    injected_after: int
    fates: tuple[Fate, ...]
    server_states: tuple[ServerState, ...]
    newcomer: Newcomer | None
    memory: DeviceMemory | None = None

    @property
    def neighbours(self) -> tuple[Fate, ...]:
        """Return the workers in which nothing was made to go wrong."""
        return tuple(f for f in self.fates if self.kind in HITS_EVERY_CLIENT or f.rank != self.worker)

    @property
    def survivors(self) -> tuple[Fate, ...]:
        """Return the neighbours that did all of their iterations."""
        return tuple(fate for fate in self.neighbours if fate.outcome is Outcome.FINISHED)

    @property
    def culprit(self) -> Fate | None:
        """Return the worker that was hit; None where the MPS server or daemon was."""
        return None if self.kind in HITS_EVERY_CLIENT else self.fates[self.worker]

    @property
    def fell_back_silently(self) -> bool | None:
        """Tell if the newcomer was silently served without MPS; None if it was not served.

        Meaningful for runs with MPS only.
        """
        attached = self.newcomer.attached if self.newcomer else None
        return None if attached is None else not attached

    @property
    def leftover_bytes(self) -> int | None:
        """Return the device memory that was not released after everything was gone; 0 if none."""
        return None if self.memory is None else max(0, self.memory.end - self.memory.before)


@dataclass(frozen=True, kw_only=True)
class SurvivorFigures:
    """Latencies of the survivors of one trial.

    Attributes:
        elapsed_s: The slowest survivor's own time.
        before_s: Median latency of iterations that ended before the fault; None if there was none.
        at_s: The longest iteration under way at the fault or begun later, before the newcomer asked.
        after_s: Median latency of iterations that began after the fault, without those that overlap the
            newcomer's stay; None if there was none.
    """

    elapsed_s: float
    before_s: float | None
    at_s: float | None
    after_s: float | None

    @property
    def blip_s(self) -> float | None:
        """Return how far the longest iteration at the fault exceeds the median before; at least 0."""
        if self.before_s is None or self.at_s is None:
            return None
        return max(0.0, self.at_s - self.before_s)


def survivor_figures(trial: FaultTrial, samples: Mapping[int, WorkerSamples]) -> SurvivorFigures | None:
    """Compute the survivors' latencies; None if no worker survived.

    Args:
        trial: The trial.
        samples: Rank -> samples; those of survivors are complete.
    """
    survivors = [samples[fate.rank] for fate in trial.survivors]
    if not survivors:
        return None
    before: list[float] = []
    at: list[float] = []
    after: list[float] = []
    newcomer = trial.newcomer
    quiet_until_ns = newcomer.asked_ns if newcomer else max(worker.end_ns for worker in survivors)
    for worker in survivors:
        for start, end in _spans_ns(worker):
            latency_s = (end - start) / 1e9
            if end <= trial.injected_ns:
                before.append(latency_s)
            elif start < quiet_until_ns:
                at.append(latency_s)
            alone = newcomer is None or end <= newcomer.asked_ns or start >= newcomer.left_ns
            if start >= trial.injected_ns and alone:
                after.append(latency_s)
    return SurvivorFigures(
        elapsed_s=max(worker.elapsed_s for worker in survivors),
        before_s=_median(before),
        at_s=max(at, default=None),
        after_s=_median(after),
    )


def _spans_ns(worker: WorkerSamples) -> Sequence[tuple[int, int]]:
    ends = worker.start_ns + np.cumsum(worker.latencies_ns)
    return [(int(end) - latency, int(end)) for end, latency in zip(ends, worker.latencies_ns, strict=True)]


def _median(values: Sequence[float]) -> float | None:
    return float(np.median(values)) if values else None


def no_effect(trial: FaultTrial, samples: Sequence[WorkerSamples]) -> str | None:
    """Say why the trial shows nothing; None if it does.

    Either the fault hit no worker, or other workers were done before it.
    """
    culprit = trial.culprit
    if culprit is not None and culprit.outcome is Outcome.FINISHED:
        return f"fault={trial.kind} had no effect: worker {trial.worker} did all of its iterations"
    finished = {fate.rank for fate in trial.survivors}
    early = [each.rank for each in samples if each.rank in finished and each.end_ns <= trial.injected_ns]
    if early:
        return f"worker {early[0]} had done all of its iterations before the fault: increase times"
    return None
