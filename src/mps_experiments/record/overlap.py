"""Times at which each worker's GPU operations ran or waited, from the traced pass.

Times are nanoseconds of the system's wall clock (Unix epoch), on which the profilers of all workers of one
host agree. A kernel that the GPU preempts counts as running from its first to its last instant, so
time-slicing can show a small overlap where there is none.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mps_experiments.record.intervals import Intervals, Times

KERNEL, MEMCPY, MEMSET, CPU_OPERATOR = range(4)
_MAX_LATENCY_NS = 10_000
_LONG_NS = 1_000_000
_MAX_LONG_SHARE = 0.2
KIND_NAMES = ("kernel", "memcpy", "memset", "cpu operator")


@dataclass(frozen=True, kw_only=True, eq=False)
class KernelTrace:
    """One worker's operations during the traced pass, in order of their start.

    Attributes:
        boundaries_ns: Start of the pass, then the end of each iteration, shape ``(iterations + 1,)``.
        starts_ns, ends_ns: Start and end of each operation, shape ``(operations,)``.
        launches_ns, launched_ns: Begin and end of the host's call that launched each operation; the
            operation's own start where the profiler recorded no call.
        kinds: `KERNEL`, `MEMCPY`, `MEMSET` or, on the CPU, `CPU_OPERATOR`.
        sm_fill: Share of the GPU's multiprocessors that the launch's blocks can reach, at most 1; or NaN.
        name_ids: Index into `names`.
    """

    rank: int
    pid: int
    boundaries_ns: Times
    starts_ns: Times
    ends_ns: Times
    launches_ns: Times
    launched_ns: Times
    streams: NDArray[np.int64]
    kinds: NDArray[np.int8]
    sm_fill: NDArray[np.float64]
    name_ids: NDArray[np.int64]
    names: tuple[str, ...]

    @property
    def iterations(self) -> int:
        return len(self.boundaries_ns) - 1

    @property
    def on_gpu(self) -> bool:
        """Tell operations of the GPU from those of a run on the CPU."""
        return not bool((self.kinds == CPU_OPERATOR).any())


@dataclass(frozen=True, kw_only=True)
class WorkerActivity:
    """One worker's time in the part of the pass that all workers share, in seconds per iteration.

    The four parts add up to `iteration_s`. *Waiting* lasts from the moment when an operation could have run
    (its launch was issued and the operation before it on its stream had ended) until it ran.

    Attributes:
        iteration_s: Mean duration of a traced iteration.
        running_s: An operation of this worker ran.
        behind_others_s: It waited while an operation of another worker ran.
        waiting_idle_s: It waited although no worker's operation ran: for its time slice, or for the launch to
            arrive.
        host_s: Nothing waited: Python, launching and its latency, synchronising. Tracing makes this longer.
        operations: Number of operations per iteration.
        operations_s: Sum of the durations of all operations.
        sm_fill: Share of the multiprocessors that the launches can reach, mean over running time; None if
            unknown.
    """

    rank: int
    iteration_s: float
    running_s: float
    behind_others_s: float
    waiting_idle_s: float
    host_s: float
    operations: float
    operations_s: float
    sm_fill: float | None


@dataclass(frozen=True, kw_only=True)
class Activity:
    """Concurrency in the traced pass, over the part of it that all workers share.

    Attributes:
        window_s: Time from the last worker's start to the first worker's end.
        on_gpu: False for a run on the CPU, where the operations are PyTorch operators.
        busy_share: Share of the window in which any worker's operation ran.
        overlap_share: Share of the busy time in which operations of two or more workers ran.
        mean_active_workers: Mean number of workers with a running operation, over the busy time.
        long_share: Share of the operations' time in operations over a millisecond, about a time slice.
        gaps_per_s: Number of gaps, in which no operation ran, per second.
        gap_p50_s: Median length of these.
    """

    window_s: float
    iterations: int
    on_gpu: bool
    busy_share: float
    overlap_share: float
    mean_active_workers: float
    long_share: float
    gaps_per_s: float
    gap_p50_s: float
    workers: tuple[WorkerActivity, ...]

    def tells_overlap(self, mps_on: bool) -> bool:
        """Return True if `overlap_share` means that operations ran at the same time.

        Without MPS the GPU takes turns, and an operation longer than a turn (0.4 to 2 ms) counts as running
        during the turns of others, too. So the spans of long operations overlap although they never ran
        together.
        """
        takes_turns = self.on_gpu and not mps_on
        return len(self.workers) > 1 and not (takes_turns and self.long_share > _MAX_LONG_SHARE)


def activity_of(traces: Sequence[KernelTrace]) -> Activity | None:
    """Derive the figures of one traced pass; None if the workers' passes share no time or nothing ran."""
    if not traces or any(trace.iterations < 1 for trace in traces):
        return None
    start = int(max(trace.boundaries_ns[0] for trace in traces))
    end = int(min(trace.boundaries_ns[-1] for trace in traces))
    running = [Intervals.union(trace.starts_ns, trace.ends_ns).within(start, end) for trace in traces]
    if end <= start or not any(each.total_ns for each in running):
        return None
    waiting = [_waiting(trace).within(start, end) for trace in traces]
    spans = [*running, *waiting]
    starts, ends = [each.starts_ns for each in spans], [each.ends_ns for each in spans]
    edges = np.unique(np.concatenate([[start, end], *starts, *ends]))
    lengths = np.diff(edges)
    runs = np.stack([each.covers(edges[:-1]) for each in running])
    active = runs.sum(axis=0)
    busy_ns = int(lengths[active > 0].sum())
    gaps = Intervals.union(edges[:-1][active == 0], edges[1:][active == 0])
    gap_lengths = gaps.ends_ns - gaps.starts_ns
    window_ns = end - start
    return Activity(
        window_s=window_ns / 1e9,
        iterations=min(trace.iterations for trace in traces),
        on_gpu=all(trace.on_gpu for trace in traces),
        busy_share=busy_ns / window_ns,
        overlap_share=float(lengths[active > 1].sum() / busy_ns),
        mean_active_workers=float((lengths * active).sum() / busy_ns),
        long_share=_long_share(traces, start, end),
        gaps_per_s=len(gap_lengths) / (window_ns / 1e9),
        gap_p50_s=float(np.median(gap_lengths)) / 1e9 if len(gap_lengths) else 0.0,
        workers=tuple(
            _worker(trace, lengths, own, waits.covers(edges[:-1]), active > own, (start, end))
            for trace, own, waits in zip(traces, runs, waiting, strict=True)
        ),
    )


def _waiting(trace: KernelTrace) -> Intervals:
    """Return the times in which an operation could have run but did not yet.

    A launch is taken to need the worker's median launch time: a call that takes longer was itself blocked, as
    a copy to the host is until it is done. The latency of a launch on an idle GPU is not waiting either. It
    is the median delay, but at most 10 microseconds: where operations queue up, the median is waiting itself.
    """
    calls = trace.launched_ns - trace.launches_ns
    usual = int(np.median(calls[trace.kinds == KERNEL])) if (trace.kinds == KERNEL).any() else 0
    issued = trace.launches_ns + np.minimum(calls, usual)
    before = np.zeros_like(issued)
    for stream in np.unique(trace.streams):
        own = np.flatnonzero(trace.streams == stream)
        before[own[1:]] = np.maximum.accumulate(trace.ends_ns[own])[:-1]
    could_start = np.maximum(issued, before)
    delays = np.maximum(trace.starts_ns - could_start, 0)
    latency = min(int(np.median(delays)), _MAX_LATENCY_NS) if len(delays) else 0
    return Intervals.union(could_start + latency, trace.starts_ns)


def _long_share(traces: Sequence[KernelTrace], start: int, end: int) -> float:
    starts = np.concatenate([trace.starts_ns for trace in traces])
    ends = np.concatenate([trace.ends_ns for trace in traces])
    inside = np.maximum(np.minimum(ends, end) - np.maximum(starts, start), 0)
    total = inside.sum()
    return float(inside[ends - starts > _LONG_NS].sum() / total) if total else 0.0


def _worker(
    trace: KernelTrace,
    lengths: Times,
    runs: NDArray[np.bool_],
    waits: NDArray[np.bool_],
    others_run: NDArray[np.bool_],
    window: tuple[int, int],
) -> WorkerActivity:
    start, end = window
    iteration_s = float(np.diff(trace.boundaries_ns).mean()) / 1e9
    share = {
        "running": lengths[runs].sum(),
        "behind_others": lengths[~runs & waits & others_run].sum(),
        "waiting_idle": lengths[~runs & waits & ~others_run].sum(),
        "host": lengths[~runs & ~waits].sum(),
    }
    seconds = {name: float(ns) / (end - start) * iteration_s for name, ns in share.items()}
    inside = (trace.starts_ns >= trace.boundaries_ns[0]) & (trace.ends_ns <= trace.boundaries_ns[-1])
    durations = (trace.ends_ns - trace.starts_ns)[inside]
    return WorkerActivity(
        rank=trace.rank,
        iteration_s=iteration_s,
        running_s=seconds["running"],
        behind_others_s=seconds["behind_others"],
        waiting_idle_s=seconds["waiting_idle"],
        host_s=seconds["host"],
        operations=len(durations) / trace.iterations,
        operations_s=float(durations.sum()) / 1e9 / trace.iterations,
        sm_fill=_mean_fill(trace.sm_fill[inside], durations),
    )


def _mean_fill(fill: NDArray[np.float64], durations: Times) -> float | None:
    known = ~np.isnan(fill)
    total = durations[known].sum()
    return float((fill[known] * durations[known]).sum() / total) if total else None
