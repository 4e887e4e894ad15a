"""Gather the evidence that explains a run's numbers, around its measured window and never inside it.

If a piece of evidence is missing, the numbers stay, and the run's state says what is missing and why.
"""

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from mps_experiments.analysis.numbers import per_cent
from mps_experiments.config.schema import MAX_TRACED
from mps_experiments.errors import EvidenceError, MpsExperimentsError
from mps_experiments.machine.gpus import GpuProbe
from mps_experiments.machine.sampler import Sampler
from mps_experiments.record.gpu_work import GpuWork, traced_work
from mps_experiments.record.outputs import compare_outputs
from mps_experiments.record.overlap import KernelTrace, activity_of
from mps_experiments.record.run_paths import RunPaths
from mps_experiments.record.trace_files import load_trace, write_merged_trace
from mps_experiments.report.timeline import draw_timeline
from mps_experiments.run.plan import RunPlan
from mps_experiments.run.run_state import RunState
from mps_experiments.workers.messages import (
    CheckProducts,
    Compute,
    Computed,
    CountOperators,
    Operators,
    Products,
    ToWorker,
    Trace,
    Traced,
    Tracing,
)
from mps_experiments.workers.pool import WorkerPool
from mps_experiments.workers.worker import Worker

_Answer = TypeVar("_Answer", Computed, Tracing, Traced, Operators, Products)
# To load CUPTI, and again to run and write a pass; longer where workers.stall_timeout_s allows it.
_TRACE_TIMEOUT_S = 120.0
_COUNTED = 3  # iterations whose operators are counted where there is no traced pass


@contextlib.contextmanager
def sampling(plan: RunPlan, probe: GpuProbe, state: RunState) -> Iterator[None]:
    """Read GPU and CPU while the block runs; the readings reach the state even if the block fails."""
    gpu = plan.device.gpu
    meter = probe.meter(gpu.uuid) if gpu else None
    sampler = Sampler(meter, plan.telemetry_interval_s)
    try:
        with sampler:
            yield
    finally:
        state.telemetry = sampler.telemetry


def gather_outputs(plan: RunPlan, pool: WorkerPool, state: RunState) -> None:
    """Have every finished worker compute the first input once more, and compare the outputs."""
    finished = [worker for worker in pool.workers if worker.done is not None]
    if not finished:
        return
    with _optional("outputs", state.missing):
        questions = [Compute()] * len(finished)
        answers = _ask(pool, questions, Computed, plan.workers.stall_timeout_s, finished)
        outputs = [answer.output or () for answer in answers]
        if not any(outputs):
            raise EvidenceError("the model returns no tensors to compare")
        state.outputs = {worker.spec.rank: out for worker, out in zip(finished, outputs, strict=True)}
        rtol, atol = plan.thresholds.output_rtol, plan.thresholds.output_atol
        differences = (compare_outputs(outputs[0], other, rtol, atol) for other in outputs[1:])
        state.parity = max(differences, key=lambda difference: difference.excess, default=None)


def gather_products(plan: RunPlan, pool: WorkerPool, state: RunState) -> None:
    """Have workers that may use only part of the GPU check matrix products against the CPU."""
    whole = plan.device.gpu.multiprocessors if plan.device.gpu else None
    capped = [
        worker
        for worker in pool.workers
        if worker.ready and worker.ready.facts.multiprocessors not in (None, whole)
    ]
    if not capped:
        return
    with _optional("matrix products", state.missing):
        questions = [CheckProducts()] * len(capped)
        answers = _ask(pool, questions, Products, plan.workers.stall_timeout_s, capped)
        for worker, answer in zip(capped, answers, strict=True):
            state.product_errors[worker.spec.rank] = answer.errors


def gather_trace(plan: RunPlan, pool: WorkerPool, scratch: Path, state: RunState) -> None:
    """Have all workers run a short traced pass together, and derive their activity. It is their last task."""
    if not plan.trace.iterations:
        return
    iterations = _iterations_to_trace(plan, pool)
    paths = [scratch / f"trace-{rank}.npz" for rank in range(plan.worker_count)]
    orders = [Trace(iterations=iterations, path=str(path)) for path in paths]
    timeout_s = _trace_timeout_s(plan)
    with _optional("traced pass", state.missing):
        _ask(pool, orders, Tracing, timeout_s, pool.workers)
        _ask(pool, [pool.next_start()] * plan.worker_count, Traced, timeout_s, pool.workers)
        pool.dismiss()  # there are no more questions: they leave the GPU while their traces are read
        state.traces = [load_trace(path) for path in paths]
        state.gpu_work = [traced_work(trace) for trace in state.traces]
        state.activity = activity_of(state.traces)
        if state.activity is None:
            ran = any(len(trace.starts_ns) for trace in state.traces)
            raise EvidenceError("the workers' passes share no time" if ran else "no operation ran in it")


def _trace_timeout_s(plan: RunPlan) -> float:
    return max(_TRACE_TIMEOUT_S, plan.workers.stall_timeout_s)


def gather_gpu_work(plan: RunPlan, pool: WorkerPool, state: RunState) -> None:
    """Prove without a traced pass, if possible, that each worker's iterations run on the GPU."""
    if plan.device.is_cpu or state.gpu_work:
        return
    with _optional("GPU work", state.missing):
        if any(worker.asked or worker.dismissed or worker.ended for worker in pool.workers):
            raise EvidenceError("not proved, since a worker no longer answers")
        questions = [CountOperators(iterations=_COUNTED)] * plan.worker_count
        answers = _ask(pool, questions, Operators, _trace_timeout_s(plan), pool.workers)
        state.gpu_work = [
            GpuWork(
                rank=rank,
                method="operators",
                iterations=len(answer.counts),
                with_work=sum(count > 0 for count in answer.counts),
            )
            for rank, answer in enumerate(answers)
        ]
        if unproved := [work.rank for work in state.gpu_work if not work.proved]:
            raise EvidenceError(
                f"not proved: PyTorch ran no operator in some iterations of workers {unproved}"
            )


def _iterations_to_trace(plan: RunPlan, pool: WorkerPool) -> int:
    """Return the number planned, or more if iterations are short: a 1 ms pass may lie in one time slice."""
    samples = pool.workers[0].samples()
    iteration_s = samples.elapsed_s / max(1, samples.iteration_count) if samples else 0.0
    enough = math.ceil(plan.trace.min_s / iteration_s) if iteration_s else 0
    return max(plan.trace.iterations, min(enough, MAX_TRACED))


def _ask(
    pool: WorkerPool,
    questions: Sequence[ToWorker],
    kind: type[_Answer],
    timeout_s: float,
    workers: Sequence[Worker],
) -> list[_Answer]:
    """Ask these workers; raise the first problem that one reports, with its rank."""
    answers = pool.ask(questions, kind, timeout_s, workers)
    for worker, answer in zip(workers, answers, strict=True):
        if answer.problem:
            raise EvidenceError(f"worker {worker.spec.rank}: {answer.problem}")
    return answers


@dataclass(frozen=True, kw_only=True)
class Artifacts:
    """The traced pass as a trace file and as a picture, to be written when there is time."""

    paths: RunPaths
    title: str
    traces: tuple[KernelTrace, ...]

    def write(self) -> list[str]:
        """Write both files into the run's folder; return what is missing, and why."""
        missing: list[str] = []
        with _optional("files of the traced pass", missing):
            self.paths.folder.mkdir(parents=True, exist_ok=True)
            write_merged_trace(self.traces, self.paths.trace, self.title)
            draw_timeline(self.traces, self.title, self.paths.timeline)
        return missing


def artifacts_of(plan: RunPlan, state: RunState) -> Artifacts | None:
    """Return the files to be written for this run; None without a traced pass."""
    if not state.traces or state.activity is None:
        return None
    title = f"{plan.name} · {plan.workloads[0].model}"
    if plan.worker_count > 1 and state.activity.tells_overlap(plan.mps.enabled):
        share = per_cent(state.activity.overlap_share, digits=1)
        title += f" · {share} of busy time with two workers or more"
    elif plan.worker_count > 1:
        title += " · operations longer than time slices: overlapping spans may not be real overlap"
    return Artifacts(paths=plan.paths, title=title, traces=tuple(state.traces))


@contextlib.contextmanager
def _optional(what: str, missing: list[str]) -> Iterator[None]:
    """Note missing evidence instead of failing: the window is over and its numbers stand."""
    try:
        yield
    except (MpsExperimentsError, OSError) as error:
        missing.append(f"{what}: {error}")
    except Exception as error:  # reading and drawing a trace run much third-party code
        missing.append(f"{what}: {type(error).__name__}: {error}")
