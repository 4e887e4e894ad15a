"""Records with evidence made by hand: what the traced pass and the telemetry of a run showed.

Times are in milliseconds per iteration, so that a test can be checked in the head.
"""

from dataclasses import replace
from inspect import signature
from typing import Any

from mps_experiments.record.measurement import Measurement
from mps_experiments.record.overlap import Activity, WorkerActivity
from mps_experiments.record.samples import WorkerSamples
from mps_experiments.record.telemetry import POWER_CAP, CpuUsage, GpuSample, Telemetry
from tests.records import make_measurement

TIMES = 100
EPOCH_OFFSET_NS = 1_700_000_000_000_000_000
BUSY, OVERLAP = 0.75, 0.125  # shares that no other figure of a record is likely to have by chance


def make_activity(
    procs: int,
    *,
    iteration_ms: float = 10.0,
    running_ms: float = 4.0,
    behind_ms: float = 0.0,
    idle_ms: float = 0.0,
    busy: float = BUSY,
    overlap: float = OVERLAP,
    long: float = 0.0,
    sm_fill: float | None = None,
    on_gpu: bool = True,
) -> Activity:
    """A traced pass in which all workers did the same; what is left of an iteration is the host's.

    Args:
        procs: Workers.
        iteration_ms: Each iteration of each worker.
        running_ms, behind_ms, idle_ms: Parts of it.
        busy, overlap, long: Shares of the pass: in which anything ran, of that together, in long operations.
        sm_fill: Share of the multiprocessors that launches reach.
        on_gpu: Whether the operations were the GPU's.
    """
    workers = tuple(
        WorkerActivity(
            rank=rank,
            iteration_s=iteration_ms / 1e3,
            running_s=running_ms / 1e3,
            behind_others_s=behind_ms / 1e3,
            waiting_idle_s=idle_ms / 1e3,
            host_s=(iteration_ms - running_ms - behind_ms - idle_ms) / 1e3,
            operations=200.0,
            operations_s=running_ms / 1e3,
            sm_fill=sm_fill,
        )
        for rank in range(procs)
    )
    return Activity(
        window_s=3 * iteration_ms / 1e3,
        iterations=3,
        on_gpu=on_gpu,
        busy_share=busy,
        overlap_share=overlap,
        mean_active_workers=1 + overlap,
        long_share=long,
        gaps_per_s=500.0,
        gap_p50_s=25e-6,
        workers=workers,
    )


def traced_run(
    record_id: str = "many",
    *,
    procs: int = 2,
    iteration_ms: float = 10.0,
    times: int = TIMES,
    **more: Any,
) -> Measurement:
    """A run whose traced iterations were as long as its timed ones.

    Args:
        record_id: The record's.
        procs: Workers.
        iteration_ms: Each timed iteration of each worker.
        times: Iterations per worker.
        more: For `make_activity`; what it does not take is for `make_measurement`.
    """
    of_activity = {name: more.pop(name) for name in signature(make_activity).parameters if name in more}
    activity = make_activity(procs, iteration_ms=iteration_ms, **of_activity)
    run = make_measurement(record_id, procs=procs, times=times, makespan_s=iteration_ms * times / 1e3, **more)
    return replace(run, activity=activity)


def with_telemetry(run: Measurement, *, capped: float = 0.0, count: int = 10, **values: Any) -> Measurement:
    """The run with readings evenly inside its window, all of these values.

    Args:
        run: The run.
        capped: Share of the readings in which the power limit held the clock down.
        count: Readings.
        values: Attributes of `GpuSample`.
    """
    window = run.window_ns()
    assert window is not None
    start, end = window
    first_without = round(capped * count)
    gpu = tuple(
        GpuSample(
            at_ns=start + (end - start) * number // count,
            **{"clock_event_reasons": (POWER_CAP,) if number < first_without else ()} | values,
        )
        for number in range(count)
    )
    return replace(run, telemetry=Telemetry(epoch_offset_ns=EPOCH_OFFSET_NS, gpu=gpu))


def with_core_waits(run: Measurement, *shares: float | None) -> Measurement:
    """The run, each worker without a CPU core for this share of its window; None: the kernel did not tell."""
    workers = []
    for worker, share in zip(run.workers, shares, strict=True):
        assert worker.samples is not None
        assert worker.done is not None
        elapsed_s = worker.samples.elapsed_s
        usage = CpuUsage(
            user_s=0.5 * elapsed_s,
            system_s=0.25 * elapsed_s,
            voluntary_switches=30,
            involuntary_switches=4,
            run_queue_wait_s=None if share is None else share * elapsed_s,
        )
        workers.append(replace(worker, done=replace(worker.done, cpu=usage)))
    return replace(run, workers=tuple(workers))


def with_late_start(run: Measurement, late_ms: float) -> Measurement:
    """The run, its last worker later by this much."""
    *others, last = run.workers
    assert last.samples is not None
    later = last.samples.start_ns + round(late_ms * 1e6)
    samples = WorkerSamples(rank=last.samples.rank, start_ns=later, latencies_ns=last.samples.latencies_ns)
    return replace(run, workers=(*others, replace(last, samples=samples)))


def with_pinned_cores(run: Measurement, *cores: int) -> Measurement:
    """The run, its workers pinned to these cores in turn."""
    workers = []
    for worker in run.workers:
        assert worker.facts is not None
        core = (cores[worker.rank % len(cores)],)
        workers.append(replace(worker, facts=replace(worker.facts, cpu_cores=core)))
    return replace(run, workers=tuple(workers))
