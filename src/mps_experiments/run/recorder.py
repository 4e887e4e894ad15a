"""Make the record of a run that has ended from what is known of it."""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from mps_experiments.mps.attachment import prove
from mps_experiments.record.axes import AXES
from mps_experiments.record.faults import FaultTrial
from mps_experiments.record.findings import Finding
from mps_experiments.record.machine import MachineFacts
from mps_experiments.record.measurement import SCHEMA_VERSION, Cell, Measurement, WorkerRecord
from mps_experiments.record.proof import Observation, Proof
from mps_experiments.record.samples import WorkerSamples
from mps_experiments.record.statistics import common_window_ns, whole_window_ns
from mps_experiments.record.telemetry import summarise_telemetry
from mps_experiments.record.verdict import Verdict, judge, judge_fault
from mps_experiments.run.bystanders import foreign_daemons, foreign_load
from mps_experiments.run.checks import Evidence, check
from mps_experiments.run.plan import RunPlan
from mps_experiments.run.run_state import RunState
from mps_experiments.workers.pool import Worker

# Reading of the GPU -> what is unknown without it.
_TELLING = {
    "clock_event_reasons": "why its clock is held down: throttling is unknown",
    "dram_activity": "how busy its memory is (GPM, from Hopper on)",
    "energy_j": "how much energy it takes",
    "sm_activity": "how busy its multiprocessors are (GPM, from Hopper on)",
}


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Origin of a run.

    Attributes:
        overrides: Command-line overrides that set this cell apart.
        config: The whole configuration, as Hydra composed it.
        weights_file_sha256: Digest of the weights file's bytes, if there is one.
    """

    sweep_id: str
    machine: MachineFacts
    overrides: tuple[str, ...] = ()
    config: dict[str, Any] = field(default_factory=dict)
    weights_file_sha256: str | None = None


def make_measurement(
    plan: RunPlan,
    origin: Origin,
    state: RunState,
    skipped: Verdict | None,
    started_at: float,
    wall_s: float,
) -> Measurement:
    """Make the record of a run that has ended, however it ended.

    Args:
        plan: The run's plan.
        origin: The run's origin.
        state: The facts that are known.
        skipped: Verdict of a run that was not started; None for one that was.
        started_at: Start in seconds since the epoch.
        wall_s: Seconds from the start to the end of the clean-up.
    """
    workers = tuple(_worker_record(worker, state) for worker in state.workers)
    samples = [worker.samples for worker in workers if worker.samples is not None]
    complete = len(samples) == plan.worker_count and (
        plan.fault is not None or all(each.latencies_ns for each in samples)
    )
    proof = None
    if state.observations:
        window = _window_ns(plan, samples, state.fault) if complete else None
        pids = tuple(worker.pid for worker in workers)
        seen = _until_fault(state.observations, state.fault)
        proof = prove(plan.mps.enabled, pids, seen, window, plan.fault is not None)
    all_done = complete and all(worker.done is not None for worker in workers)
    findings: tuple[Finding, ...] = ()
    if all_done and plan.fault is None:
        findings = check(_evidence(plan, state, samples), plan.thresholds)
    verdict = skipped or _judge(plan, state, proof, samples, findings)
    environment = state.environment
    return Measurement(
        schema_version=SCHEMA_VERSION,
        record_id=uuid.uuid4().hex,
        sweep_id=origin.sweep_id,
        name=plan.name,
        varied=plan.varied,
        cell=cell_of(plan),
        started_at=started_at,
        wall_s=wall_s,
        phases_s=state.phases_s,
        overrides=origin.overrides,
        config=origin.config,
        machine=origin.machine,
        weights_file_sha256=origin.weights_file_sha256,
        workers=workers,
        proof=proof,
        foreign_daemons=environment.foreign_daemons if environment else (),
        foreign_processes=environment.foreign_processes if environment else (),
        contended=(*foreign_load(plan, state), *foreign_daemons(plan, state)),
        notes=_notes(plan, state, origin.machine),
        failure=state.failure,
        verdict=verdict,
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


def _until_fault(observations: Sequence[Observation], fault: FaultTrial | None) -> Sequence[Observation]:
    """Drop observations that were not over before the fault: they say nothing about the state before it."""
    if fault is None:
        return observations
    return [seen for seen in observations if seen.to_ns <= fault.injected_ns]


def _window_ns(plan: RunPlan, samples: Sequence[WorkerSamples], fault: FaultTrial | None) -> tuple[int, int]:
    """Return the time in which all workers were at work together, up to the fault if there is one."""
    if fault is None:
        return common_window_ns(samples, plan.window.kept)
    return max(each.start_ns for each in samples), fault.injected_ns


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
    return judge(
        failure,
        proof_failure,
        samples,
        plan.worker_count,
        plan.window.iterations,
        findings,
        "on the CPU, where there is nothing to attach to" if plan.device.is_cpu else "attachment proved",
    )


def _worker_record(worker: Worker, state: RunState) -> WorkerRecord:
    rank = worker.spec.rank
    return WorkerRecord(
        rank=rank,
        pid=worker.pid,
        workload=worker.spec.workload,
        cpu_cores_planned=worker.spec.cpu_cores,
        ready_s=(worker.ready_ns - worker.started_ns) / 1e9 if worker.ready else None,
        facts=worker.ready.facts if worker.ready else None,
        done=worker.done,
        gpu_memory_bytes=_gpu_memory_bytes(worker.pid, state.observations),
        samples=worker.samples(),
        output=state.outputs.get(rank),
        product_errors=state.product_errors.get(rank, {}),
    )


def cell_of(plan: RunPlan) -> Cell:
    """Return the coordinates of the run that this plan describes."""
    known = plan.axes | plan.decided
    return Cell(axes={axis.name: known[axis.name] for axis in AXES}, inputs=plan.workloads[0].inputs)


def _gpu_memory_bytes(pid: int, observations: list[Observation]) -> int | None:
    """Return the most memory that NVML counted for a process, CUDA context included; None if it did not."""
    counted = [each.memory_bytes for seen in observations for each in seen.gpu_processes if each.pid == pid]
    return max((size for size in counted if size is not None), default=None)


def _cores(worker: Worker, state: RunState) -> tuple[int, ...]:
    if state.placement is not None and state.placement.ring:
        return state.placement.ring
    return worker.ready.facts.cpu_cores if worker.ready else ()


def _evidence(plan: RunPlan, state: RunState, samples: Sequence[WorkerSamples]) -> Evidence:
    servers = {pid for seen in state.observations for pid in seen.server_status}
    descendants = {pid for seen in state.observations for pid in seen.descendant_pids}
    return Evidence(
        samples=samples,
        kept=plan.window.kept,
        core_speeds=[worker.done.core_speed_per_us if worker.done else None for worker in state.workers],
        usage=[worker.done.cpu if worker.done else None for worker in state.workers],
        cores=[_cores(worker, state) for worker in state.workers],
        on_gpu=not plan.device.is_cpu,
        mps_on=plan.mps.enabled,
        telemetry=state.telemetry,
        own_pids=frozenset({worker.pid for worker in state.workers} | servers | descendants),
        listed_pids=frozenset(each.pid for seen in state.observations for each in seen.gpu_processes),
        foreign_load=foreign_load(plan, state),
        foreign_daemons=foreign_daemons(plan, state),
        parity=state.parity,
        factory=plan.workloads[0].kind == "custom",
        outputs=state.outputs,
        gpu_work=state.gpu_work,
        descendants=sorted(set().union(*(seen.descendants_on_gpu() for seen in state.observations))),
        product_errors=state.product_errors,
    )


def _notes(plan: RunPlan, state: RunState, machine: MachineFacts) -> tuple[str, ...]:
    notes = []
    quota = machine.cpu_quota_cores
    if state.workers and quota is not None and quota < plan.worker_count:
        notes.append(
            f"a CPU quota allows {quota:g} cores of CPU time, fewer than procs={plan.worker_count}: "
            "it stops the workers again and again"
        )
    read = next(
        (each.ready.facts.torch_facts.get("weights_read") for each in state.workers if each.ready), None
    )
    if read:
        notes.append(f"workload.weights: {read}")
    if plan.device.is_cpu and state.workers:
        notes.append("ran on the CPU: the numbers say nothing about MPS or a GPU")
    if plan.workers.verbose:
        notes.append("workers.verbose=true: printing is part of the measured time")
    return tuple(notes)


def _missing_facts(state: RunState) -> Iterator[str]:
    """List the facts that workers could not find out while they got ready, with the first such worker."""
    told = set[str]()
    for worker in state.workers:
        facts = worker.ready.facts.missing if worker.ready else {}
        for what in facts.keys() - told:
            yield f"{what}: worker {worker.spec.rank}: {facts[what]}"
        told |= facts.keys()


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
    unknown = {name for name in _TELLING if all(getattr(each, name) is None for each in telemetry.gpu)}
    yield from (f"telemetry: this GPU or driver does not report {_TELLING[name]}" for name in sorted(unknown))
    if telemetry.gpu_share_by_pid is None:
        yield "telemetry: this GPU or driver does not report which process used it"


def _missing_logs(plan: RunPlan, state: RunState) -> Iterator[str]:
    """List the logs of MPS that could not be written."""
    if plan.mps.enabled and state.environment is not None:
        for path in (plan.paths.control_log, plan.paths.server_log):
            if not path.exists():
                yield f"{path.name}: could not be written"
