"""Run one cell: environment, workers, measured window, proof. Whatever happens, a record comes out."""

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from multiprocessing.context import ForkServerContext, SpawnContext
from typing import Any, Protocol, TypeVar

from mps_experiments.errors import Interrupted, ProofError, RunError, WorkerError
from mps_experiments.machine.gpus import GpuProbe
from mps_experiments.machine.signals import let_through
from mps_experiments.mps.attachment import failure_in
from mps_experiments.mps.guardian import Guardian
from mps_experiments.record.machine import MachineFacts
from mps_experiments.record.measurement import FailureRecord, Measurement
from mps_experiments.record.worker import Forward
from mps_experiments.run.environment import Environment, open_environment
from mps_experiments.run.evidence import (
    Artifacts,
    artifacts_of,
    gather_gpu_work,
    gather_outputs,
    gather_products,
    gather_trace,
    sampling,
)
from mps_experiments.run.fault_watch import watching_memory
from mps_experiments.run.mps_ending import about_mps, noting_end_of_mps
from mps_experiments.run.plan import RunPlan
from mps_experiments.run.recorder import make_measurement
from mps_experiments.run.run_state import RunState
from mps_experiments.run.skip import reason_to_skip
from mps_experiments.run.trial import Trial
from mps_experiments.workers.child import WorkerSpec
from mps_experiments.workers.placement import Placement, keep_off, place, unpinned
from mps_experiments.workers.pool import WorkerPool
from mps_experiments.workers.rotation import Rotation

_T = TypeVar("_T")
_STOP_TIMEOUT_S = 10.0  # for workers to leave the GPU and exit, before they are killed
_LOOK_AFTER_S = 0.01  # from the start of the window to the observation inside it


class Watcher(Protocol):
    """Observer of a run; called outside the measured window, except `progress` and `forward`."""

    tick_s: float

    def phase(self, name: str) -> None:
        """Note that a new phase of the run begins."""

    def progress(self, finished: int) -> None:
        """Note the number of iterations that all workers have done together."""

    def forward(self, rank: int, pid: int, message: Forward) -> None:
        """Note that a verbose worker did one forward."""


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """Things that all runs of a sweep share.

    Attributes:
        cores: CPU cores that belong to this sweep; None if it took none and may use all.
        meanwhile: Called once the workers are started, while they load.
        is_quiet: Waits for at most this many seconds until all work for other runs is done; returns False
            if it is not.
    """

    sweep_id: str
    machine: MachineFacts
    probe: GpuProbe
    guardian: Guardian
    context: Callable[[str], ForkServerContext | SpawnContext]
    watcher: Watcher
    cores: tuple[int, ...] | None = None
    meanwhile: Callable[[], None] = lambda: None
    is_quiet: Callable[[float], bool] = lambda _: True


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A run's record, the signal that interrupted it, if any, and the files that are still to be written."""

    measurement: Measurement
    interruption: Interrupted | None
    artifacts: Artifacts | None = None


def run_cell(
    plan: RunPlan,
    surroundings: Surroundings,
    *,
    overrides: tuple[str, ...] = (),
    config: dict[str, Any] | None = None,
    weights_file_sha256: str | None = None,
) -> Outcome:
    """Run one cell and return its record, failures included. Raises nothing of its own.

    It is called with signals blocked, and lets them through until it begins the record.
    """
    started_at, started = time.time(), time.monotonic()
    state = RunState(on_phase=surroundings.watcher.phase)
    verdict = reason_to_skip(plan)
    if verdict is None:
        try:
            with let_through():
                _measure(plan, surroundings, state)
        except WorkerError as error:
            state.failure = FailureRecord(reason=str(error), rank=error.rank, traceback=error.traceback)
        except (RunError, OSError) as error:
            state.failure = FailureRecord(reason=str(error), rank=None, traceback="")
        except KeyboardInterrupt as error:
            state.interruption = _interruption(error)
            state.failure = FailureRecord(reason=str(state.interruption), rank=None, traceback="")
        state.about_mps = about_mps(plan, state)
    measurement = make_measurement(
        plan,
        state,
        verdict,
        sweep_id=surroundings.sweep_id,
        machine=surroundings.machine,
        started_at=started_at,
        wall_s=time.monotonic() - started,
        overrides=overrides,
        config=config,
        weights_file_sha256=weights_file_sha256,
    )
    return Outcome(
        measurement=measurement, interruption=state.interruption, artifacts=artifacts_of(plan, state)
    )


def _interruption(error: KeyboardInterrupt) -> Interrupted:
    return error if isinstance(error, Interrupted) else Interrupted(signal.SIGINT)


def _measure(plan: RunPlan, around: Surroundings, state: RunState) -> None:
    watcher = around.watcher
    plan.paths.folder.mkdir(parents=True, exist_ok=True)
    context = around.context(plan.workers.start_method.value)
    with contextlib.ExitStack() as stack:
        gpu_uuid = plan.device.uuid if plan.fault else None
        note_workers_gone = stack.enter_context(watching_memory(around.probe, gpu_uuid, state))
        with state.phase("environment"):
            opening = open_environment(plan, around.probe, around.guardian)
            environment = stack.enter_context(_timed_exit(opening, "environment_teardown", state))
            state.environment = environment
        state.placement = _placement(plan, around)
        stack.callback(keep_off(state.placement.parent))
        with state.phase("workers"):
            stack.callback(note_workers_gone)
            specs = _worker_specs(plan, environment, state.placement)
            pool = WorkerPool(
                context=context, specs=specs, stop_timeout_s=_STOP_TIMEOUT_S, on_forward=watcher.forward
            )
            stack.enter_context(_timed_exit(pool, "workers_teardown", state))
            state.workers = pool.workers
            # Exited before the pool: MPS processes that end with the workers are no sign of a failure.
            stack.enter_context(noting_end_of_mps(plan, environment, state))
            around.meanwhile()
            pool.wait_ready(plan.workers.ready_timeout_s)
        with state.phase("afterwork"):  # no other run's work may go on during the window
            timeout_s = plan.workers.ready_timeout_s
            if not around.is_quiet(timeout_s):
                raise RunError(
                    f"the files of the previous run were not written and logged within {timeout_s:g} s"
                )
        with state.phase("proof"):
            state.observations.append(environment.observe(worker_pids=pool.pids))
            if failure := failure_in(state.observations[0], plan.mps.enabled, pool.pids):
                raise ProofError(failure)  # a claim that already fails is not worth measuring
        trial = Trial(plan, pool, environment, state.placement.parent) if plan.fault is not None else None
        with (
            sampling(plan, around.probe, state),
            state.phase("measured_window"),
            Rotation(pool.pids, state.placement.ring, plan.workers.rotate_s),
        ):
            start_at_ns = pool.release()
            time.sleep(max(0.0, (start_at_ns - time.monotonic_ns()) / 1e9) + _LOOK_AFTER_S)
            state.observations.append(environment.observe(worker_pids=pool.pids))
            if trial is not None:
                state.fault = trial.run(watcher.tick_s, watcher.progress)
            else:
                pool.wait_done(plan.workers.stall_timeout_s, watcher.tick_s, watcher.progress)
        if trial is None:
            with state.phase("proof"):
                state.observations.append(environment.observe(look_again=True, worker_pids=pool.pids))
        try:
            with state.phase("outputs"):
                gather_outputs(plan, pool, state)
            if trial is None:  # a fault invalidates all further evidence
                with state.phase("traced_pass"):
                    gather_products(plan, pool, state)
                    gather_trace(plan, pool, environment.scratch, state)
                    gather_gpu_work(plan, pool, state)
        except KeyboardInterrupt as error:  # the sweep ends, but the measurement and its proof stay
            state.interruption = _interruption(error)
            state.missing.append(f"evidence: {state.interruption}")


@contextlib.contextmanager
def _timed_exit(manager: contextlib.AbstractContextManager[_T], name: str, state: RunState) -> Iterator[_T]:
    """Enter `manager`; when the block is left, note the time that its exit takes as a phase."""
    with contextlib.ExitStack() as stack:
        value = stack.enter_context(manager)
        try:
            yield value
        finally:
            with state.phase(name):
                stack.close()


def _placement(plan: RunPlan, around: Surroundings) -> Placement:
    if not plan.workers.pinned:
        return unpinned(plan.worker_count)  # they inherit the sweep's cores from this process
    usable, own = around.machine.usable_cores, around.cores
    near = plan.device.gpu.local_cores if plan.device.gpu else ()
    return place(plan.worker_count, usable if own is None else own, near, rotating=plan.workers.rotates)


def _worker_specs(plan: RunPlan, environment: Environment, placement: Placement) -> list[WorkerSpec]:
    specs = [
        WorkerSpec(
            rank=rank,
            device=plan.device.torch_device,
            workload=workload,
            iterations=plan.window.iterations,
            seconds=plan.window.seconds,
            kept=plan.window.kept,
            warmup_iterations=plan.workers.warmup_iterations,
            cpu_cores=placement.workers[rank],
            environment=environment.variables,
            verbose=plan.workers.verbose,
            log_path=str(plan.paths.worker_log(rank)),
            # Once for the slowest worker, once for the work of other runs.
            go_timeout_s=2 * plan.workers.ready_timeout_s,
        )
        for rank, workload in enumerate(plan.workloads)
    ]
    fault = plan.fault
    if fault is not None and fault.is_in_worker:
        specs[fault.worker] = replace(
            specs[fault.worker], misbehaviour=fault.kind, misbehave_after=fault.after_iterations
        )
    return specs
