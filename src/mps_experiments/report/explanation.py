"""Why N processes take longer than one: a cause and a short paragraph, each claim with its figure; pure.

A cause is named only if its parts make up most of the growth (`report.growth`) and, for a resource of the
GPU, the telemetry shows it used up; else the text says that the figures do not decide.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from mps_experiments.record import Measurement
from mps_experiments.report.gpu_limits import Limit, gpu_limit
from mps_experiments.report.growth import Growth

_FREE = 1.05  # ratio up to which the others count as running for free
_STARVED = 0.1  # share of the window without a core
_FILLED = 0.8  # share of a worker's time in which it keeps the GPU busy, from which the GPU is its limit


class Cause(StrEnum):
    """What keeps N processes from taking the time of one, or what leaves room for them."""

    HOST = "host-limited"
    TIME_SLICED = "time-sliced"
    CPU = "CPU-starved"
    MULTIPROCESSORS = "SM-limited"
    MEMORY = "memory-bandwidth-limited"
    POWER = "power-limited"
    GPU = "GPU-limited"
    UNDECIDED = "undecided"


_OF_LIMIT = {
    Limit.MULTIPROCESSORS: Cause.MULTIPROCESSORS,
    Limit.MEMORY: Cause.MEMORY,
    Limit.CLOCK: Cause.POWER,
    Limit.UNKNOWN: Cause.GPU,
}


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """The cause of a run's ratio.

    Attributes:
        text: A short paragraph that begins with the cause.
        figures: What it rests on: name, with its unit -> value.
    """

    cause: Cause
    text: str
    figures: dict[str, float]


def explain(many: Measurement, one: Measurement | None) -> Explanation | None:
    """Explain a run with several workers.

    Args:
        many: The run.
        one: The one-process run it is compared with; None if there is none.

    Returns:
        None for a run that has nothing to explain: one worker, not VALID, or on the CPU.
    """
    if many.cell.procs < 2 or many.statistics() is None or many.machine.gpu is None:
        return None
    if one is None:
        return _nothing("there is no comparable one-process run")
    for run, name in ((many, "this run"), (one, "the one-process run")):
        if run.activity is None or not run.activity.on_gpu:
            why = next((text for text in run.missing if text.startswith("traced pass")), "trace.iterations=0")
            return _nothing(f"{name} has no traced pass ({why})")
    growth = Growth.between(many, one)
    cause, sentences = _judge(growth)
    text = " ".join([f"{cause}: {_how_long(growth)}", *sentences])
    return Explanation(cause=cause, text=text, figures=growth.figures())


def _nothing(why: str) -> Explanation:
    text = f"{Cause.UNDECIDED}: {why}, so nothing is claimed."
    return Explanation(cause=Cause.UNDECIDED, text=text, figures={})


def _judge(growth: Growth) -> tuple[Cause, list[str]]:
    """The cause, and the sentences that show it."""
    if growth.ratio < _FREE:
        cause = Cause.HOST if growth.gpu_busy_alone < _FILLED else Cause.GPU
        return cause, [_room(growth), _overlap(growth)]
    if starved := _starved(growth):
        return Cause.CPU, [starved]
    waits_s = growth.idle_s + growth.behind_s
    if growth.run.cell.mps == "off" and growth.is_mostly(waits_s + growth.kernels_s):
        return Cause.TIME_SLICED, [_overlap(growth), _slices(growth)]
    if growth.is_mostly(growth.host_s + growth.idle_s):
        return Cause.HOST, [_room(growth), _parts(growth), _overlap(growth)]
    if growth.is_mostly(growth.kernels_s + growth.behind_s):
        limit = gpu_limit(growth)
        return _OF_LIMIT[limit.limit], [_parts(growth), _behind(growth), limit.text, _overlap(growth)]
    return Cause.UNDECIDED, [
        _parts(growth),
        "None makes up most of it: the figures do not decide.",
        _overlap(growth),
    ]


def _how_long(growth: Growth) -> str:
    return (
        f"{growth.run.cell.procs} processes take {growth.ratio:.2f} times the time of one "
        f"({_ms(growth.many.iteration_s)} against {_ms(growth.one.iteration_s)} per iteration)."
    )


def _room(growth: Growth) -> str:
    busy = growth.gpu_busy_alone
    room = int(1 / busy) if busy > 0 else 0
    fits = f", so about {room} fit beside each other" if 1 < room < 100 else ""
    run, iteration = _ms(growth.one.run_s), _ms(growth.one.iteration_s)
    return f"One worker keeps the GPU busy {busy:.0%} of its time ({run} of {iteration}){fits}."


def _overlap(growth: Growth) -> str:
    activity = growth.activity
    busy = f"In the traced pass the GPU ran operations {activity.busy_share:.0%} of the time"
    if not activity.tells_overlap(growth.run.cell.mps == "on"):
        return f"{busy}; they are longer than a time slice, so whether any overlapped cannot be told."
    return f"{busy}, of two workers or more together in {activity.overlap_share:.1%} of that."


def _slices(growth: Growth) -> str:
    many = growth.many
    text = (
        f"In {_ms(many.idle_s)} of an iteration ({many.idle_s / many.iteration_s:.0%}) a launched operation "
        f"waited for its time slice while the GPU ran nothing, in {_ms(many.behind_s)} "
        f"({many.behind_s / many.iteration_s:.0%}) while it ran another worker's"
    )
    if growth.is_mostly(growth.kernels_s):
        return f"{text}; operations took {_ms(growth.kernels_s)} longer, the slices of others included."
    return f"{text}."


def _parts(growth: Growth) -> str:
    parts = {
        "host (Python, launching, synchronising)": growth.host_s,
        "waiting while the GPU ran nothing": growth.idle_s,
        "waiting behind other workers' operations": growth.behind_s,
        "operations that ran longer": growth.kernels_s,
    }
    ordered = sorted(parts.items(), key=lambda part: -part[1])
    listed = ", ".join(f"{name} {seconds * 1e3:+.3g} ms" for name, seconds in ordered)
    return f"An iteration grew by {growth.total_s * 1e3:.3g} ms: {listed}."


def _behind(growth: Growth) -> str:
    share = growth.many.behind_s / growth.many.iteration_s
    return f"Each worker waited behind the others {share:.0%} of its time."


def _starved(growth: Growth) -> str | None:
    """Evidence that the workers lacked CPU cores; None if there is none."""
    run = growth.run
    waits = [
        worker.done.cpu.run_queue_wait_s / worker.samples.elapsed_s
        for worker in run.workers
        if worker.samples and worker.done and worker.done.cpu and worker.done.cpu.run_queue_wait_s is not None
    ]
    waited = float(np.mean(waits)) if waits else 0.0
    if waited < _STARVED or not growth.is_mostly(2 * waited * growth.many.iteration_s):
        return None
    cores = len({core for worker in run.workers if worker.facts for core in worker.facts.cpu_cores})
    return (
        f"Each worker was ready to run but had no CPU core for {waited:.0%} of its time ({run.cell.procs} "
        f"workers on {cores} core{'s' if cores > 1 else ''})."
    )


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms"


def explanations(
    measurements: Sequence[Measurement], partner_ids: Mapping[str, Sequence[str]]
) -> dict[str, Explanation]:
    """Record id -> explanation, for every run that has one.

    Args:
        measurements: All runs.
        partner_ids: Record id -> the one-process runs it is compared with; that of the same repeat counts.
    """
    by_id = {m.record_id: m for m in measurements}
    found = {}
    for m in measurements:
        ones = [by_id[each] for each in partner_ids.get(m.record_id, ()) if each in by_id]
        one = next((each for each in ones if each.cell.repeat == m.cell.repeat), ones[0] if ones else None)
        if explanation := explain(m, one):
            found[m.record_id] = explanation
    return found
