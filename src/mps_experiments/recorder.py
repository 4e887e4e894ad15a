"""What is known of a run, kept while it goes on, and the record made of it when it has ended."""

import contextlib
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from mps_experiments.environment import Environment
from mps_experiments.errors import Interrupted
from mps_experiments.machine.facts import MachineFacts
from mps_experiments.measurement.samples import WorkerSamples
from mps_experiments.measurement.statistics import common_window_ns
from mps_experiments.measurement.verdict import Verdict, judge
from mps_experiments.mps.attachment import Observation, prove
from mps_experiments.plan import RunPlan
from mps_experiments.record import SCHEMA_VERSION, Cell, FailureRecord, Measurement, WorkerRecord
from mps_experiments.workers.placement import Placement
from mps_experiments.workers.pool import Worker


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a run comes from.

    Attributes:
        overrides: What set this cell apart on the command line.
        config: The whole configuration, as Hydra composed it.
        weights_file_sha256: Digest of the weights file's bytes, if there is one.
    """

    sweep_id: str
    machine: MachineFacts
    overrides: tuple[str, ...] = ()
    config: dict[str, Any] = field(default_factory=dict)
    weights_file_sha256: str | None = None


@dataclass
class Trace:
    """What is known of a run so far; the runner fills it, and it survives whatever ends the run."""

    on_phase: Callable[[str], None]
    phases_s: dict[str, float] = field(default_factory=dict)
    observations: list[Observation] = field(default_factory=list)
    environment: Environment | None = None
    placement: Placement | None = None
    workers: list[Worker] = field(default_factory=list)
    failure: FailureRecord | None = None
    interruption: Interrupted | None = None

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Note how long the block takes; a phase entered twice adds up."""
        self.on_phase(name)
        started = time.monotonic()
        try:
            yield
        finally:
            self.phases_s[name] = self.phases_s.get(name, 0.0) + time.monotonic() - started


def make_measurement(
    plan: RunPlan,
    origin: Origin,
    trace: Trace,
    skipped: Verdict | None,
    started_at: float,
    wall_s: float,
) -> Measurement:
    """The record of a run that has ended, however it ended.

    Args:
        plan: What was to be done.
        origin: Where the run comes from.
        trace: What is known of it.
        skipped: The verdict of a run that was not started; None for one that was.
        started_at: Seconds since the epoch.
        wall_s: Seconds from start to the end of the clean-up.
    """
    workers = tuple(_worker_record(worker, trace.observations) for worker in trace.workers)
    samples = [worker.samples for worker in workers if worker.samples is not None]
    complete = len(samples) == plan.worker_count and all(each.latencies_ns for each in samples)
    proof = None
    if trace.observations:
        window = common_window_ns(samples) if complete else None
        pids = tuple(worker.pid for worker in workers)
        proof = prove(plan.mps.enabled, pids, trace.observations, window)
    verdict = skipped or judge(
        trace.failure.reason if trace.failure else None,
        proof.failure if proof else "the run never got to its proof",
        samples,
        plan.worker_count,
        plan.iterations_per_worker,
        "on the CPU, where there is nothing to attach to" if plan.device.is_cpu else "attachment proved",
    )
    environment = trace.environment
    return Measurement(
        schema_version=SCHEMA_VERSION,
        record_id=uuid.uuid4().hex,
        sweep_id=origin.sweep_id,
        name=plan.name,
        cell=_cell(plan),
        started_at=started_at,
        wall_s=wall_s,
        phases_s=trace.phases_s,
        overrides=origin.overrides,
        config=origin.config,
        machine=origin.machine,
        weights_file_sha256=origin.weights_file_sha256,
        workers=workers,
        proof=proof,
        foreign_daemons=environment.foreign_daemons if environment else (),
        foreign_processes=environment.foreign_processes if environment else (),
        contended=_contention(
            environment, trace.observations, {worker.pid for worker in workers}, plan.device.is_cpu
        ),
        notes=_notes(plan, trace),
        failure=trace.failure,
        verdict=verdict,
    )


def _worker_record(worker: Worker, observations: list[Observation]) -> WorkerRecord:
    boundaries = worker.samples_ns()
    return WorkerRecord(
        rank=worker.spec.rank,
        pid=worker.pid,
        workload=worker.spec.workload,
        cpu_cores_planned=worker.spec.cpu_cores,
        ready_s=(worker.ready_ns - worker.started_ns) / 1e9 if worker.ready else None,
        facts=worker.ready.facts if worker.ready else None,
        done=worker.done,
        gpu_memory_bytes=_gpu_memory_bytes(worker.pid, observations),
        samples=WorkerSamples.from_boundaries(worker.spec.rank, boundaries) if boundaries else None,
    )


def _cell(plan: RunPlan) -> Cell:
    first = plan.workloads[0]
    gpu = plan.device.gpu
    return Cell(
        mps="on" if plan.mps.enabled else "off",
        procs=plan.worker_count,
        times=plan.iterations_per_worker,
        model=first.model,
        weights=first.weights,
        inputs=first.inputs,
        device=gpu.uuid if gpu else "cpu",
        start_method=plan.workers.start_method,
        pinned=plan.workers.pinned,
        verbose=plan.workers.verbose,
        compute_mode="exclusive_process" if plan.mps.exclusive_process else "keep",
        options=first.options,
        seed=first.seed,
        warmup=plan.workers.warmup_iterations,
        repeat=plan.repeat,
    )


def _gpu_memory_bytes(pid: int, observations: list[Observation]) -> int | None:
    """The most that NVML counted for this process, the CUDA context included; None where it does not tell."""
    counted = [each.memory_bytes for seen in observations for each in seen.gpu_processes if each.pid == pid]
    return max((size for size in counted if size is not None), default=None)


def _contention(
    environment: Environment | None, observations: list[Observation], worker_pids: set[int], on_cpu: bool
) -> tuple[str, ...]:
    """What else could have taken part of the GPU, each in words."""
    if environment is None or on_cpu:
        return ()
    before = {process.pid for process in environment.foreign_processes}
    found = [f"process {pid} was on the GPU before the workers" for pid in sorted(before)]
    during = {pid for seen in observations for pid in _strangers(seen, worker_pids)} - before
    found += [f"process {pid} came to the GPU during the run" for pid in sorted(during)]
    daemons = {daemon.pipe_dir: daemon for seen in observations for daemon in seen.foreign_daemons}
    daemons |= {daemon.pipe_dir: daemon for daemon in environment.foreign_daemons}
    found += [
        f"a foreign MPS daemon (pid {daemon.pid}) serves {pipe_dir or 'an unknown directory'}"
        for pipe_dir, daemon in daemons.items()
    ]
    return tuple(found)


def _strangers(seen: Observation, worker_pids: set[int]) -> set[int]:
    """Processes on the GPU that are not ours; none where NVML counts pids of another namespace."""
    listed = {process.pid for process in seen.gpu_processes}
    return listed - worker_pids - set(seen.server_status) if listed & worker_pids else set()


def _notes(plan: RunPlan, trace: Trace) -> tuple[str, ...]:
    notes = []
    if plan.device.is_cpu and trace.workers:
        notes.append("ran on the CPU: says nothing about MPS or a GPU")
    if plan.workers.verbose:
        notes.append("workers.verbose=true: printing is part of the measured time")
    if plan.workers.pinned and trace.placement and not all(trace.placement.workers):
        notes.append("fewer CPU cores than workers: cores were shared")
    return tuple(notes)
