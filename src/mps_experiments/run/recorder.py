"""Make the record of a run that has ended from what is known of it."""

import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from mps_experiments.mps.attachment import prove
from mps_experiments.record.axes import AXES
from mps_experiments.record.cell import Cell
from mps_experiments.record.findings import Finding
from mps_experiments.record.machine import ON_THE_CPU, MachineFacts
from mps_experiments.record.measurement import SCHEMA_VERSION, Measurement, WorkerRecord
from mps_experiments.record.proof import Observation, Proof
from mps_experiments.record.samples import WorkerSamples
from mps_experiments.record.statistics import common_window_ns, whole_window_ns
from mps_experiments.record.telemetry import summarise_telemetry
from mps_experiments.record.verdict import Verdict, judge, judge_fault
from mps_experiments.run.checks import Evidence, check
from mps_experiments.run.plan import RunPlan
from mps_experiments.run.run_state import RunState
from mps_experiments.workers.worker import Worker

# Reading of the GPU -> what is unknown without it.
_TELLING = {
    "clock_event_reasons": "why its clock is held down: throttling is unknown",
    "dram_activity": "how busy its memory is (GPM, from Hopper on)",
    "energy_j": "how much energy it takes",
    "sm_activity": "how busy its multiprocessors are (GPM, from Hopper on)",
}


def make_measurement(
    plan: RunPlan,
    state: RunState,
    skipped: Verdict | None,
    *,
    sweep_id: str,
    machine: MachineFacts,
    started_at: float,
    wall_s: float,
    overrides: tuple[str, ...] = (),
    config: dict[str, Any] | None = None,
    weights_file_sha256: str | None = None,
) -> Measurement:
    """Make the record of a run that has ended, however it ended.

    Args:
        plan: The run's plan.
        state: The facts that are known.
        skipped: Verdict of a run that was not started; None for one that was.
        sweep_id: Its sweep.
        machine: Where it ran.
        started_at: Start in seconds since the epoch.
        wall_s: Seconds from the start to the end of the clean-up.
        overrides: Command-line overrides that set this cell apart.
        config: The whole configuration, as Hydra composed it.
        weights_file_sha256: Digest of the weights file, if there is one.
    """
    workers = tuple(_worker_record(worker, state) for worker in state.workers)
    samples = [worker.samples for worker in workers if worker.samples is not None]
    complete = len(samples) == plan.worker_count and (
        plan.fault is not None or all(each.latencies_ns for each in samples)
    )
    all_done = complete and all(worker.done is not None for worker in workers)
    load, daemons = foreign_load(plan, state), foreign_daemons(plan, state)
    findings: tuple[Finding, ...] = ()
    if all_done and plan.fault is None:
        findings = check(_evidence(plan, state, samples, load, daemons), plan.thresholds)
    proof = _proof(plan, state, samples if complete else None)
    environment = state.environment
    return Measurement(
        schema_version=SCHEMA_VERSION,
        record_id=uuid.uuid4().hex,
        sweep_id=sweep_id,
        name=plan.name,
        varied=plan.varied,
        cell=cell_of(plan),
        started_at=started_at,
        wall_s=wall_s,
        phases_s=state.phases_s,
        overrides=overrides,
        config=config or {},
        machine=machine,
        weights_file_sha256=weights_file_sha256,
        workers=workers,
        proof=proof,
        foreign_daemons=environment.foreign_daemons if environment else (),
        foreign_processes=environment.foreign_processes if environment else (),
        contended=(*load, *daemons),
        notes=tuple(_notes(plan, state, machine)),
        failure=state.failure,
        verdict=skipped or _judge(plan, state, proof, samples, findings),
        findings=findings,
        missing=(
            *state.missing,
            *_missing_facts(state),
            *_missing_telemetry(plan, state, samples if complete else ()),
            *_missing_logs(plan, state),
        ),
        activity=state.activity,
        telemetry=state.telemetry,
        parity=state.parity,
        fault=state.fault,
        gpu_work=tuple(state.gpu_work),
    )


def _proof(plan: RunPlan, state: RunState, samples: Sequence[WorkerSamples] | None) -> Proof | None:
    """Return what the observations prove of the time in which all were at work, up to the fault if any."""
    seen: Sequence[Observation] = state.observations
    if not seen:
        return None
    window = None
    if state.fault is not None:  # what was not over before it says nothing about the state before it
        seen = [each for each in seen if each.to_ns <= state.fault.injected_ns]
        window = (max(each.start_ns for each in samples), state.fault.injected_ns) if samples else None
    elif samples:
        window = common_window_ns(samples, plan.window.kept)
    pids = tuple(worker.pid for worker in state.workers)
    return prove(plan.mps.enabled, pids, seen, window, plan.fault is not None)


def _judge(
    plan: RunPlan,
    state: RunState,
    proof: Proof | None,
    samples: Sequence[WorkerSamples],
    findings: Sequence[Finding],
) -> Verdict:
    reasons = (state.about_mps, state.failure.reason if state.failure else None)
    failure = "; ".join(filter(None, reasons)) or None
    proof_failure = proof.failure if proof else "the run ended before attachment could be observed"
    if plan.fault is not None:
        return judge_fault(failure, proof_failure, state.fault, samples)
    proved = "on the CPU, where there is nothing to attach to" if plan.device.is_cpu else "attachment proved"
    return judge(failure, proof_failure, samples, plan.worker_count, plan.window.iterations, findings, proved)


def _worker_record(worker: Worker, state: RunState) -> WorkerRecord:
    rank, pid = worker.spec.rank, worker.pid
    counted = [
        each.memory_bytes for seen in state.observations for each in seen.gpu_processes if each.pid == pid
    ]
    return WorkerRecord(
        rank=rank,
        pid=pid,
        workload=worker.spec.workload,
        cpu_cores_planned=worker.spec.cpu_cores,
        ready_s=(worker.ready_ns - worker.started_ns) / 1e9 if worker.ready else None,
        facts=worker.ready.facts if worker.ready else None,
        done=worker.done,
        gpu_memory_bytes=max((size for size in counted if size is not None), default=None),
        samples=worker.samples(),
        output=state.outputs.get(rank),
        product_errors=state.product_errors.get(rank, {}),
    )


def cell_of(plan: RunPlan) -> Cell:
    """Return the coordinates of the run that this plan describes."""
    known = plan.axes | plan.decided
    return Cell(axes={axis.name: known[axis.name] for axis in AXES}, inputs=plan.workloads[0].inputs)


def foreign_load(plan: RunPlan, state: RunState) -> tuple[str, ...]:
    """Describe the other processes that were seen on the GPU."""
    environment = state.environment
    if environment is None or plan.device.is_cpu:
        return ()
    workers = {worker.pid for worker in state.workers}
    before = {process.pid for process in environment.foreign_processes}
    during = set[int]()
    for seen in state.observations:
        listed = {process.pid for process in seen.gpu_processes}
        own = workers | set(seen.server_status) | set(seen.descendant_pids)
        if listed & own:  # else NVML reports pids of another namespace
            during |= listed - own - before
    return (
        *(f"process {pid} was on the GPU before the workers" for pid in sorted(before)),
        *(f"process {pid} came to the GPU during the run" for pid in sorted(during)),
    )


def foreign_daemons(plan: RunPlan, state: RunState) -> tuple[str, ...]:
    """Describe the MPS daemons of others that were seen and may serve this GPU."""
    environment, gpu = state.environment, plan.device.gpu
    if environment is None or gpu is None:
        return ()
    daemons = {daemon.pipe_dir: daemon for seen in state.observations for daemon in seen.foreign_daemons}
    daemons |= {daemon.pipe_dir: daemon for daemon in environment.foreign_daemons}
    return tuple(
        f"a foreign MPS daemon (pid {daemon.pid}) serves {pipe_dir or 'an unknown directory'}"
        for pipe_dir, daemon in daemons.items()
        if daemon.may_serve(gpu.uuid)
    )


def _cores(worker: Worker, state: RunState) -> tuple[int, ...]:
    if state.placement is not None and state.placement.ring:
        return state.placement.ring
    return worker.ready.facts.cpu_cores if worker.ready else ()


def _evidence(
    plan: RunPlan,
    state: RunState,
    samples: Sequence[WorkerSamples],
    load: Sequence[str],
    daemons: Sequence[str],
) -> Evidence:
    own = {worker.pid for worker in state.workers}
    for seen in state.observations:
        own |= {*seen.server_status, *seen.descendant_pids}
    return Evidence(
        samples=samples,
        kept=plan.window.kept,
        core_speeds=[worker.done.core_speed_per_us if worker.done else None for worker in state.workers],
        usage=[worker.done.cpu if worker.done else None for worker in state.workers],
        cores=[_cores(worker, state) for worker in state.workers],
        on_gpu=not plan.device.is_cpu,
        mps_on=plan.mps.enabled,
        telemetry=state.telemetry,
        own_pids=frozenset(own),
        listed_pids=frozenset(each.pid for seen in state.observations for each in seen.gpu_processes),
        foreign_load=load,
        foreign_daemons=daemons,
        parity=state.parity,
        factory=plan.workloads[0].kind == "custom",
        outputs=state.outputs,
        gpu_work=state.gpu_work,
        descendants=sorted(set().union(*(seen.descendants_on_gpu() for seen in state.observations))),
        product_errors=state.product_errors,
    )


def _notes(plan: RunPlan, state: RunState, machine: MachineFacts) -> Iterator[str]:
    quota = machine.cpu_quota_cores
    if state.workers and quota is not None and quota < plan.worker_count:
        yield (
            f"a CPU quota allows {quota:g} cores of CPU time, fewer than procs={plan.worker_count}: "
            "it stops the workers again and again"
        )
    ready = [worker.ready.facts.torch_facts for worker in state.workers if worker.ready]
    if ready and (read := ready[0].get("weights_read")):
        yield f"workload.weights: {read}"
    if plan.device.is_cpu and state.workers:
        yield ON_THE_CPU
    if plan.workers.verbose:
        yield "workers.verbose=true: printing is part of the measured time"


def _missing_facts(state: RunState) -> Iterable[str]:
    """List the facts that workers could not find out while they got ready, with the first such worker."""
    told: dict[str, str] = {}
    for worker in state.workers:
        for what, why in (worker.ready.facts.missing if worker.ready else {}).items():
            told.setdefault(what, f"{what}: worker {worker.spec.rank}: {why}")
    return told.values()


def _missing_telemetry(plan: RunPlan, state: RunState, samples: Sequence[WorkerSamples]) -> Iterator[str]:
    """List the readings that NVML did not deliver, and the checks that are impossible without them."""
    telemetry = state.telemetry
    if telemetry is None or plan.device.is_cpu or not plan.telemetry_interval_s:
        return
    if telemetry.problem:
        yield f"telemetry: some readings of the GPU are missing: {telemetry.problem}"
    if not telemetry.gpu:
        yield "telemetry: NVML cannot read this GPU: throttling, energy and other processes' use are unknown"
        return
    if samples and summarise_telemetry(telemetry, whole_window_ns(samples)) is None:
        yield "telemetry: the measured window was too short for a reading: throttling is unknown"
    for name, what in _TELLING.items():
        if all(getattr(each, name) is None for each in telemetry.gpu):
            yield f"telemetry: this GPU or driver does not report {what}"
    if telemetry.gpu_share_by_pid is None:
        yield "telemetry: this GPU or driver does not report which process used it"


def _missing_logs(plan: RunPlan, state: RunState) -> Iterator[str]:
    """List the logs of MPS that could not be written."""
    if plan.mps.enabled and state.environment is not None:
        for path in (plan.paths.control_log, plan.paths.server_log):
            if not path.exists():
                yield f"{path.name}: could not be written"
