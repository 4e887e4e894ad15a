"""Run one cell: environment, workers, measured window, proof; whatever happens, a record comes out."""

import contextlib
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerContext, SpawnContext
from typing import Any, Protocol, TypeVar

from mps_experiments.environment import Environment, open_environment
from mps_experiments.errors import Interrupted, ProofError, RunError, WorkerError
from mps_experiments.machine.facts import MachineFacts
from mps_experiments.machine.gpus import GpuProbe
from mps_experiments.measurement.samples import WorkerSamples
from mps_experiments.measurement.statistics import common_window_ns
from mps_experiments.measurement.verdict import Verdict, judge
from mps_experiments.mps.attachment import Observation, failure_in, prove
from mps_experiments.mps.guardian import Guardian
from mps_experiments.plan import RunPlan
from mps_experiments.record import (
    SCHEMA_VERSION,
    Cell,
    FailureRecord,
    Measurement,
    WorkerRecord,
)
from mps_experiments.skip import reason_to_skip
from mps_experiments.workers.child import WorkerSpec
from mps_experiments.workers.messages import Forward
from mps_experiments.workers.placement import Placement, place, unpinned
from mps_experiments.workers.pool import Worker, WorkerPool, keep_off

_T = TypeVar("_T")
_LOOK_AFTER_S = 0.01  # from the start of the window to the look into it


class Watcher(Protocol):
    """Who is told how a run goes; called outside the measured window, except `progress` and `forward`."""

    tick_s: float

    def phase(self, name: str) -> None:
        """A new phase of the run begins."""

    def progress(self, finished: int) -> None:
        """So many iterations of all workers are done."""

    def forward(self, rank: int, pid: int, message: Forward) -> None:
        """A verbose worker did one forward."""


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What all runs of a sweep share."""

    sweep_id: str
    machine: MachineFacts
    probe: GpuProbe
    guardian: Guardian
    context: Callable[[str], ForkServerContext | SpawnContext]
    watcher: Watcher


@dataclass
class _Trace:
    """What is known of the run so far."""

    phases_s: dict[str, float] = field(default_factory=dict)
    observations: list[Observation] = field(default_factory=list)
    environment: Environment | None = None
    placement: Placement | None = None
    workers: list[Worker] = field(default_factory=list)
    failure: FailureRecord | None = None
    interruption: Interrupted | None = None

    @contextlib.contextmanager
    def phase(self, name: str, watcher: Watcher) -> Iterator[None]:
        watcher.phase(name)
        started = time.monotonic()
        try:
            yield
        finally:
            self.phases_s[name] = self.phases_s.get(name, 0.0) + time.monotonic() - started


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A run's record, and the signal that cut it short, if one did."""

    measurement: Measurement
    interruption: Interrupted | None


def run_cell(
    plan: RunPlan,
    surroundings: Surroundings,
    *,
    overrides: tuple[str, ...] = (),
    config: dict[str, Any] | None = None,
    weights_file_sha256: str | None = None,
) -> Outcome:
    """Run one cell to a record. Raises nothing of its own: what fails is in the record."""
    started_at, started = time.time(), time.monotonic()
    trace = _Trace()
    verdict = reason_to_skip(plan)
    if verdict is None:
        try:
            _measure(plan, surroundings, trace)
        except WorkerError as error:
            trace.failure = FailureRecord(reason=str(error), rank=error.rank, traceback=error.traceback)
        except (RunError, OSError) as error:
            trace.failure = FailureRecord(reason=str(error), rank=None, traceback="")
        except KeyboardInterrupt as error:
            trace.interruption = error if isinstance(error, Interrupted) else Interrupted(2)
            trace.failure = FailureRecord(reason=str(trace.interruption), rank=None, traceback="")
    measurement = _record(
        plan,
        surroundings,
        trace,
        verdict,
        started_at=started_at,
        wall_s=time.monotonic() - started,
        overrides=overrides,
        config=config or {},
        weights_file_sha256=weights_file_sha256,
    )
    return Outcome(measurement=measurement, interruption=trace.interruption)


def _measure(plan: RunPlan, around: Surroundings, trace: _Trace) -> None:
    watcher = around.watcher
    context = around.context(plan.workers.start_method)
    with contextlib.ExitStack() as stack:
        with trace.phase("environment", watcher):
            environment = stack.enter_context(
                _timed_exit(
                    open_environment(plan, around.probe, around.guardian),
                    "environment_teardown",
                    trace,
                    watcher,
                )
            )
            trace.environment = environment
        trace.placement = _placement(plan, around.machine)
        stack.callback(keep_off(trace.placement.parent))
        with trace.phase("workers", watcher):
            specs = _worker_specs(plan, environment, trace.placement)
            pool = stack.enter_context(
                _timed_exit(
                    WorkerPool(context, specs, plan.workers.stop_timeout_s, watcher.forward),
                    "workers_teardown",
                    trace,
                    watcher,
                )
            )
            trace.workers = pool.workers
            pool.wait_ready(plan.workers.ready_timeout_s)
        with trace.phase("proof", watcher):
            _look(environment, pool, trace, plan.mps.enabled)
        with trace.phase("measured_window", watcher):
            start_at_ns = pool.release()
            time.sleep(max(0.0, (start_at_ns - time.monotonic_ns()) / 1e9) + _LOOK_AFTER_S)
            trace.observations.append(environment.observe())
            pool.wait_done(plan.workers.stall_timeout_s, watcher.tick_s, watcher.progress)
        with trace.phase("proof", watcher):
            trace.observations.append(environment.observe(look_again=True))


def _look(environment: Environment, pool: WorkerPool, trace: _Trace, expected_on: bool) -> None:
    """The look before the start; a claim that already fails is not worth measuring."""
    trace.observations.append(environment.observe())
    if failure := failure_in(trace.observations[-1], expected_on, pool.pids):
        raise ProofError(failure)


@contextlib.contextmanager
def _timed_exit(
    manager: contextlib.AbstractContextManager[_T], name: str, trace: _Trace, watcher: Watcher
) -> Iterator[_T]:
    """`manager`, with the time that leaving it takes noted as a phase."""
    with contextlib.ExitStack() as stack:
        value = stack.enter_context(manager)
        try:
            yield value
        finally:
            with trace.phase(name, watcher):
                stack.close()


def _placement(plan: RunPlan, machine: MachineFacts) -> Placement:
    if not plan.workers.pinned:
        return unpinned(plan.worker_count)
    near = plan.device.gpu.local_cores if plan.device.gpu else ()
    return place(plan.worker_count, machine.usable_cores, near)


def _worker_specs(plan: RunPlan, environment: Environment, placement: Placement) -> list[WorkerSpec]:
    return [
        WorkerSpec(
            rank=rank,
            device=plan.device.torch_device,
            workload=workload,
            iterations=plan.iterations_per_worker,
            warmup_iterations=plan.workers.warmup_iterations,
            cpu_cores=placement.workers[rank],
            environment=environment.variables,
            verbose=plan.workers.verbose,
            log_path=str(plan.paths.worker_log(rank)),
            go_timeout_s=plan.workers.ready_timeout_s,
        )
        for rank, workload in enumerate(plan.workloads)
    ]


def _record(
    plan: RunPlan,
    around: Surroundings,
    trace: _Trace,
    skipped: Verdict | None,
    *,
    started_at: float,
    wall_s: float,
    overrides: tuple[str, ...],
    config: dict[str, Any],
    weights_file_sha256: str | None,
) -> Measurement:
    workers = tuple(_worker_record(worker) for worker in trace.workers)
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
    )
    environment = trace.environment
    return Measurement(
        schema_version=SCHEMA_VERSION,
        record_id=uuid.uuid4().hex,
        sweep_id=around.sweep_id,
        name=plan.name,
        cell=_cell(plan),
        started_at=started_at,
        wall_s=wall_s,
        phases_s=trace.phases_s,
        overrides=overrides,
        config=config,
        machine=around.machine,
        weights_file_sha256=weights_file_sha256,
        workers=workers,
        proof=proof,
        foreign_daemons=environment.foreign_daemons if environment else (),
        foreign_processes=environment.foreign_processes if environment else (),
        contended=_contention(environment, trace.observations),
        notes=_notes(plan, trace),
        failure=trace.failure,
        verdict=verdict,
    )


def _worker_record(worker: Worker) -> WorkerRecord:
    boundaries = worker.samples_ns()
    return WorkerRecord(
        rank=worker.spec.rank,
        pid=worker.pid,
        workload=worker.spec.workload,
        cpu_cores_planned=worker.spec.cpu_cores,
        ready_s=(worker.ready_ns - worker.started_ns) / 1e9 if worker.ready else None,
        facts=worker.ready.facts if worker.ready else None,
        done=worker.done,
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
    )


def _contention(environment: Environment | None, observations: list[Observation]) -> tuple[str, ...]:
    """What else could have taken part of the GPU, each in words."""
    if environment is None:
        return ()
    found = [
        f"process {process.pid} was on the GPU before the workers"
        for process in environment.foreign_processes
    ]
    daemons = {daemon.pipe_dir: daemon for seen in observations for daemon in seen.foreign_daemons}
    daemons |= {daemon.pipe_dir: daemon for daemon in environment.foreign_daemons}
    found += [
        f"a foreign MPS daemon (pid {daemon.pid}) serves {pipe_dir or 'an unknown directory'}"
        for pipe_dir, daemon in daemons.items()
    ]
    return tuple(found)


def _notes(plan: RunPlan, trace: _Trace) -> tuple[str, ...]:
    notes = []
    if plan.device.is_cpu:
        notes.append("ran on the CPU: says nothing about MPS or a GPU")
    if plan.workers.verbose:
        notes.append("workers.verbose=true: printing is part of the measured time")
    if plan.workers.pinned and trace.placement and not all(trace.placement.workers):
        notes.append("fewer CPU cores than workers: cores were shared")
    return tuple(notes)
