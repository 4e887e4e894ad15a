"""Explain why N processes take longer than one: a cause, and each claim with its figure; pure.

A cause is named only if its parts make up most of the growth (`growth`) and, for a resource of the
GPU, the telemetry shows it used up; else the text says that the figures do not decide.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mps_experiments.analysis.comparison import TOO_FAST, Ratio
from mps_experiments.analysis.gpu_limits import Cause, gpu_limit, is_power_limited, lower_clock
from mps_experiments.analysis.growth import Growth
from mps_experiments.analysis.numbers import per_cent
from mps_experiments.record.measurement import Measurement

_TOO_FAST_WORDS = (
    "More processes cannot be faster than one: something else slowed the one-process run; repeat both."
)
_FREE = 1.05  # ratio up to which the others count as running for free
_STARVED = 0.1  # share of the window without a core
_SEEN = 0.01  # share of the growth from which a late start is told
_FILLED = 0.8  # share of a worker's time in which it keeps the GPU busy, from which the GPU is its limit


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """The cause of a run's ratio, a paragraph that begins with it, its figures: name with unit -> value.

    Attributes:
        is_free: True if the others ran for free: then the cause is what leaves room for them.
    """

    cause: Cause
    text: str
    figures: dict[str, float]
    is_free: bool = False


def explain(many: Measurement, one: Measurement | None) -> Explanation | None:
    """Explain a run with several workers by the one-process run it is compared with.

    None for a run that has nothing to explain: one worker, not VALID, or on the CPU.
    """
    if many.cell.procs < 2 or many.statistics() is None or many.machine.gpu is None:
        return None
    if one is None:
        return _nothing("there is no comparable one-process run")
    for run, name in ((many, "this run"), (one, "the one-process run")):
        if run.activity is None or not run.activity.on_gpu:
            return _nothing(f"{name} has no traced pass of the GPU ({_why_untraced(run)})")
    growth = Growth.between(many, one)
    cause, sentences = _judge(growth)
    text = " ".join([f"{cause}: {_how_long(growth)}", *sentences])
    is_free = TOO_FAST <= growth.ratio < _FREE
    return Explanation(cause=cause, text=text, figures=growth.figures(), is_free=is_free)


def _why_untraced(run: Measurement) -> str:
    if told := next((text for text in run.missing if text.startswith("traced pass")), None):
        return told
    if run.activity is not None:
        return "the profiler saw only operators of the CPU"
    off = (run.config.get("trace") or {}).get("iterations") == 0
    return "trace.iterations=0" if off else "its record holds none"


def _nothing(why: str) -> Explanation:
    text = f"{Cause.UNDECIDED}: {why}, so nothing is claimed."
    return Explanation(cause=Cause.UNDECIDED, text=text, figures={})


def _judge(growth: Growth) -> tuple[Cause, list[str]]:
    """Return the cause, and the sentences that show it."""
    if growth.ratio < TOO_FAST:
        return Cause.UNDECIDED, [_TOO_FAST_WORDS, _room(growth), _overlap(growth)]
    if growth.ratio < _FREE:
        cause = Cause.HOST if growth.gpu_busy_alone < _FILLED else Cause.UNDECIDED
        return cause, [_room(growth), _overlap(growth)]
    if starved := _starved(growth):
        return Cause.CPU, [starved]
    if is_power_limited(growth):
        return Cause.POWER, [_parts(growth), *lower_clock(growth), _overlap(growth)]
    # Without MPS an operation that waits while nothing runs waits for its time slice, not for the host.
    sliced, on_gpu_s = growth.run.cell.mps == "off", growth.kernels_s + growth.behind_s
    if sliced and (growth.is_mostly(on_gpu_s) or growth.is_mostly(on_gpu_s + growth.idle_s)):
        return Cause.TIME_SLICED, [_overlap(growth), _slices(growth), *lower_clock(growth)]
    if growth.is_mostly(growth.host_s if sliced else growth.host_s + growth.idle_s):
        return Cause.HOST, [_room(growth), _parts(growth), _overlap(growth)]
    if growth.is_mostly(on_gpu_s):
        cause, shown = gpu_limit(growth)
        return cause, [_parts(growth), _behind(growth), shown, _overlap(growth)]
    return Cause.UNDECIDED, [
        _parts(growth),
        "Neither the host's part of it nor the GPU's is most of it: the figures do not decide.",
        _overlap(growth),
    ]


def _how_long(growth: Growth) -> str:
    return (
        f"{growth.run.cell.procs} processes take {growth.ratio:.2f} times the time of one "
        f"({_ms(growth.many.iteration_s)} against {_ms(growth.one.iteration_s)} per iteration)."
    )


def _room(growth: Growth) -> str:
    busy = growth.gpu_busy_alone
    room = int(round(1 / busy, 6)) if busy > 0 else 0
    fits = f", so about {room} fit beside each other even without overlap" if 1 < room < 100 else ""
    run, iteration = _ms(growth.one.run_s), _ms(growth.one.iteration_s)
    return f"One worker keeps the GPU busy {per_cent(busy)} of its time ({run} of {iteration}){fits}."


def _overlap(growth: Growth) -> str:
    activity = growth.activity
    busy = f"In the traced pass the GPU ran operations {per_cent(activity.busy_share)} of the time"
    if not activity.tells_overlap(growth.run.cell.mps == "on"):
        return (
            f"{busy}; {per_cent(activity.long_share)} of their time is in operations over 1 ms, which may "
            "span time slices, so whether any overlapped cannot be told."
        )
    return f"{busy}, of two workers or more together in {per_cent(activity.overlap_share, digits=1)} of that."


def _slices(growth: Growth) -> str:
    many = growth.many
    text = (
        f"In {_ms(many.idle_s)} of an iteration ({per_cent(many.idle_s / many.iteration_s)}) a launched "
        f"operation waited while the GPU ran nothing (with one process in {_ms(growth.one.idle_s)}), "
        f"in {_ms(many.behind_s)} ({per_cent(many.behind_s / many.iteration_s)}) while it ran another "
        "worker's"
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
    if abs(growth.late_start_s) > _SEEN * growth.total_s:
        parts["late start of a worker"] = growth.late_start_s
    ordered = sorted(parts.items(), key=lambda part: -part[1])
    listed = ", ".join(f"{name} {_ms(seconds, '+')}" for name, seconds in ordered)
    return f"Per iteration the makespan grew by {_ms(growth.total_s)}: {listed}."


def _behind(growth: Growth) -> str:
    share = growth.many.behind_s / growth.many.iteration_s
    return f"A worker waited behind the others' operations {per_cent(share)} of its time."


def _starved(growth: Growth) -> str | None:
    """Return evidence that the slowest worker lacked a CPU core; None if there is none."""
    waited, alone = _core_wait_share(growth.run), _core_wait_share(growth.run_of_one)
    if waited is None or alone is None or waited < _STARVED:
        return None
    added_s = waited * growth.many.iteration_s - alone * growth.one.iteration_s
    if not growth.is_mostly(added_s):
        return None
    run = growth.run
    cores = len({core for worker in run.workers if worker.facts for core in worker.facts.cpu_cores})
    return (
        f"The slowest worker was ready to run but had no CPU core for {per_cent(waited)} of its time "
        f"(with one process {per_cent(alone)}); {run.cell.procs} workers ran on "
        f"{cores} core{'s' * (cores > 1)}."
    )


def _core_wait_share(run: Measurement) -> float | None:
    """Return the share of its time in which the slowest worker had no core; None if it is unknown."""
    measured = [(worker.samples, worker.done) for worker in run.workers if worker.samples]
    first_ns = min(samples.start_ns for samples, _ in measured)
    samples, done = max(
        measured, key=lambda worker: (worker[0].end_ns - first_ns) / worker[0].iteration_count
    )
    if done is None or done.cpu is None or done.cpu.run_queue_wait_s is None:
        return None
    return min(1.0, done.cpu.run_queue_wait_s / samples.at_work_s)


def _ms(seconds: float, sign: str = "") -> str:
    """Write three digits; what is below 0.1 microseconds is noise of the arithmetic."""
    value = round(seconds * 1e3, 4) + 0.0  # not -0
    return f"{value:{sign}.0f} ms" if abs(value) >= 100 else f"{value:{sign}.3g} ms"


def explanations(
    measurements: Sequence[Measurement], by_ratio: Mapping[str, Ratio]
) -> dict[str, Explanation]:
    """Return record id -> explanation, for every run that has one.

    Of the partners in `by_ratio` (see `comparison.ratios`) that of the same repeat counts. Nothing is claimed
    over a one-process run that something slowed.
    """
    by_id = {m.record_id: m for m in measurements}
    found = {}
    for m in measurements:
        ones = [by_id[each] for each in by_ratio[m.record_id].partner_ids if each in by_id]
        one = next((each for each in ones if each.cell.repeat == m.cell.repeat), ones[0] if ones else None)
        if explanation := explain(m, one):
            ratio = by_ratio[m.record_id]
            found[m.record_id] = _nothing(ratio.reason) if ratio.slowed else explanation
    return found
