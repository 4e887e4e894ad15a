"""Why N processes take longer than one: the growth of the makespan, part by part, and the resource behind it.

The growth per iteration is the difference of two decompositions (`measurement.decomposition`), N processes
against one::

    growth = kernels + behind + idle + host + outside

*kernels*: own operations ran longer; *behind*: they waited while another worker's ran; *idle*: they waited
although nothing ran; *host*: Python, launching, synchronising; *outside*: start skew and tail. A cause is named
only if its parts make up most of the growth and the telemetry shows the resource exhausted; else the text says
that the figures do not decide.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mps_experiments.measurement.decomposition import Decomposition, decompose
from mps_experiments.measurement.telemetry import POWER_CAP, TelemetrySummary, summarise_telemetry
from mps_experiments.record import Measurement

HOST, TIME_SLICED, CPU = "host-limited", "time-sliced", "CPU-starved"
SM, MEMORY, GPU, POWER = "SM-limited", "memory-bandwidth-limited", "GPU-limited", "power-limited"
UNDECIDED = "undecided"

_FREE = 0.05  # growth below which N processes count as running for free
_MOST = 0.6  # share of the growth that a cause must make up
_STARVED = 0.1  # share of the window without a core
_DRAM_BUSY, _SM_BUSY = (
    0.6,
    0.8,
)  # of the peak; copies reach 0.88 of it on an H100, large products 0.97 of the SMs
_NVML_MEMORY_BUSY, _FILLED, _ALWAYS = 0.8, 0.8, 0.9  # where there is no GPM
_CLOCK_FELL = 0.97


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """The cause of a run's ratio.

    Attributes:
        cause: A resource, or `UNDECIDED`.
        text: A short paragraph; each claim with its figure.
        figures: Name, with its unit -> value.
    """

    cause: str
    text: str
    figures: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class _Growth:
    """Seconds per iteration that N processes take longer than one, by part."""

    kernels: float
    behind: float
    idle: float
    host: float
    outside: float

    @property
    def total(self) -> float:
        return self.kernels + self.behind + self.idle + self.host + self.outside


@dataclass(frozen=True, kw_only=True)
class _Case:
    """All that the rules look at."""

    many: Measurement
    parts: Decomposition
    one: Decomposition
    growth: _Growth
    summary: TelemetrySummary | None
    summary_of_one: TelemetrySummary | None

    @property
    def ratio(self) -> float:
        return self.parts.makespan_s / self.one.makespan_s

    def share(self, *seconds: float) -> float:
        """Parts of the growth as share of it."""
        return sum(seconds) / self.growth.total if self.growth.total > 0 else 0.0


def explain(many: Measurement, one: Measurement | None) -> Explanation | None:
    """Explain a VALID run with several workers.

    Args:
        many: The run.
        one: The one-process run it is compared with; None if there is none.

    Returns:
        None for a run that has nothing to explain: one worker, not VALID, or on the CPU.
    """
    if many.cell.procs < 2 or many.statistics() is None or many.machine.gpu is None:
        return None
    for run, what in ((many, "this run"), (one, "the one-process run")):
        if run is None:
            return _undecided("there is no comparable one-process run")
        if run.activity is None:
            why = next((text for text in run.missing if text.startswith("traced pass")), "trace.iterations=0")
            return _undecided(f"{what} has no traced pass ({why})")
    assert one is not None  # noqa: S101 - checked in the loop
    case = _case(many, one)
    cause, sentences = _judge(case)
    return Explanation(cause=cause, text=" ".join([f"{cause}:", *sentences]), figures=_figures(case))


def _undecided(why: str) -> Explanation:
    return Explanation(cause=UNDECIDED, text=f"{UNDECIDED}: {why}, so nothing is claimed.", figures={})


def _case(many: Measurement, one: Measurement) -> _Case:
    parts, alone = _decomposed(many), _decomposed(one)
    per_iteration = 1 / many.cell.times
    growth = _Growth(
        kernels=parts.run_s - alone.run_s,
        behind=parts.behind_s - alone.behind_s,
        idle=parts.idle_s - alone.idle_s,
        host=parts.host_s - alone.host_s,
        outside=(parts.makespan_s * parts.outside_share - alone.makespan_s * alone.outside_share)
        * per_iteration,
    )
    return _Case(
        many=many,
        parts=parts,
        one=alone,
        growth=growth,
        summary=_summary(many),
        summary_of_one=_summary(one),
    )


def _decomposed(run: Measurement) -> Decomposition:
    assert run.activity is not None  # noqa: S101 - the caller looked
    return decompose([worker.samples for worker in run.workers if worker.samples], run.activity)


def _summary(run: Measurement) -> TelemetrySummary | None:
    samples = [worker.samples for worker in run.workers if worker.samples]
    if run.telemetry is None or not samples:
        return None
    window = (min(worker.start_ns for worker in samples), max(worker.end_ns for worker in samples))
    return summarise_telemetry(run.telemetry, window)


def _judge(case: _Case) -> tuple[str, list[str]]:
    """The cause, and the sentences that show it."""
    growth, off = case.growth, case.many.cell.mps == "off"
    start = [_how_long(case)]
    if case.ratio < 1 + _FREE:
        return (HOST if _busy_alone(case) < _FILLED else GPU), [*start, _room(case), _overlap(case)]
    if starved := _starved(case):
        return CPU, [*start, starved]
    if off and case.share(growth.idle, growth.behind, growth.kernels) >= _MOST:
        return TIME_SLICED, [*start, _overlap(case), _waits(case)]
    if case.share(growth.host, growth.idle) >= _MOST:
        return HOST, [*start, _room(case), _host(case), _overlap(case)]
    if case.share(growth.kernels, growth.behind) >= _MOST:
        cause, why = _exhausted(case)
        return cause, [*start, _gpu_side(case), why, _overlap(case), *_clock(case)]
    return UNDECIDED, [*start, _mixed(case), _overlap(case), *_clock(case)]


def _how_long(case: _Case) -> str:
    return (
        f"{case.many.cell.procs} processes take {case.ratio:.2f} times the time of one "
        f"({_ms(case.parts.iteration_s)} against {_ms(case.one.iteration_s)} per iteration)."
    )


def _busy_alone(case: _Case) -> float:
    """Share of one worker's timed iteration in which the GPU ran its operations."""
    return case.one.run_s / case.one.iteration_s


def _room(case: _Case) -> str:
    busy = _busy_alone(case)
    room = int(1 / busy) if busy > 0 else 0
    fits = f", so about {room} fit one after the other" if 1 < room < 100 else ""
    return (
        f"One worker keeps the GPU busy {busy:.0%} of its time ({_ms(case.one.run_s)} of "
        f"{_ms(case.one.iteration_s)}){fits}."
    )


def _overlap(case: _Case) -> str:
    activity = case.many.activity
    assert activity is not None  # noqa: S101 - there is a case only with one
    return (
        f"In the traced pass operations ran {activity.busy_share:.0%} of the time, of two workers or more "
        f"together in {activity.overlap_share:.1%} of that."
    )


def _waits(case: _Case) -> str:
    parts = case.parts
    return (
        f"Each worker waited {_ms(parts.idle_s)} of its iteration ({parts.idle_s / parts.iteration_s:.0%}) "
        f"for its time slice while no kernel ran, and {_ms(parts.behind_s)} "
        f"({parts.behind_s / parts.iteration_s:.0%}) while another worker's ran."
    )


def _host(case: _Case) -> str:
    return (
        f"Most of what was added lies before kernels run: host {_signed(case.growth.host)}, launches under way "
        f"or waiting while no kernel ran {_signed(case.growth.idle)}; on the GPU kernels took "
        f"{_signed(case.growth.kernels)} and waited {_signed(case.growth.behind)} for others."
    )


def _gpu_side(case: _Case) -> str:
    parts = case.parts
    return (
        f"Most of what was added lies on the GPU: kernels took {_signed(case.growth.kernels)} longer, and each "
        f"worker waited {_ms(parts.behind_s)} ({parts.behind_s / parts.iteration_s:.0%} of its time) behind "
        "others' kernels."
    )


def _mixed(case: _Case) -> str:
    growth = case.growth
    return (
        f"No part makes up most of what was added: host {_signed(growth.host)}, waiting with no kernel running "
        f"{_signed(growth.idle)}, kernels {_signed(growth.kernels)}, waiting behind others "
        f"{_signed(growth.behind)}, start and tail {_signed(growth.outside)}. The figures do not decide."
    )


def _starved(case: _Case) -> str | None:
    """Evidence that the workers lacked CPU cores; None if there is none."""
    waits = [
        worker.done.cpu.run_queue_wait_s / worker.samples.elapsed_s
        for worker in case.many.workers
        if worker.samples and worker.done and worker.done.cpu and worker.done.cpu.run_queue_wait_s is not None
    ]
    waited = float(np.mean(waits)) if waits else 0.0
    added = waited * case.parts.iteration_s
    if waited >= _STARVED and added >= _MOST * case.growth.total * 0.5:
        cores = len({core for worker in case.many.workers if worker.facts for core in worker.facts.cpu_cores})
        return (
            f"Each worker was ready to run but had no CPU core for {waited:.0%} of its time "
            f"({case.many.cell.procs} workers on {cores} core{'s' if cores > 1 else ''}); the GPU is not the limit."
        )
    return None


def _exhausted(case: _Case) -> tuple[str, str]:
    """Which resource of the GPU is used up, and by which figure."""
    mean = case.summary.mean if case.summary else {}
    if clock := _clock_cause(case):
        return POWER, clock
    sm, dram = mean.get("sm_activity"), mean.get("dram_activity")
    if sm is not None and dram is not None:
        return _by_gpm(sm, dram)
    return _by_nvml(case, mean.get("memory_utilization"))


def _by_gpm(sm: float, dram: float) -> tuple[str, str]:
    figures = f"multiprocessors were active {sm:.0%} of the time, device memory at {dram:.0%} of its peak"
    if dram >= _DRAM_BUSY:
        return MEMORY, f"In the timed window {figures}: memory bandwidth is used up."
    if sm >= _SM_BUSY:
        return SM, f"In the timed window {figures}: the multiprocessors are used up."
    return GPU, f"In the timed window {figures}: neither is used up, the figures do not decide what is."


def _by_nvml(case: _Case, memory: float | None) -> tuple[str, str]:
    """Coarser: this GPU has no GPM."""
    activity = case.many.activity
    fills = [worker.sm_fill for worker in activity.workers if worker.sm_fill] if activity else []
    fill, busy = float(np.mean(fills)) if fills else 0.0, activity.busy_share if activity else 0.0
    if memory is not None and memory >= _NVML_MEMORY_BUSY:
        return MEMORY, f"NVML counted device memory as used {memory:.0%} of the time (a coarse figure)."
    if fill >= _FILLED and busy >= _ALWAYS:
        return SM, (
            f"Kernels ran {busy:.0%} of the time, and their launches reach {fill:.0%} of the multiprocessors "
            "(from launch sizes; this GPU does not tell its activity)."
        )
    return GPU, "This GPU does not tell how busy its multiprocessors and memory are: the resource is unknown."


def _clock_cause(case: _Case) -> str | None:
    """Words for a lower clock that alone explains most of the kernels' growth."""
    factor = _clock_factor(case)
    explained = case.one.run_s * (factor - 1)
    if factor > 1 / _CLOCK_FELL and explained >= _MOST * case.growth.total:
        return (
            f"The SM clock was {factor:.2f} times as high with one process; that explains {_ms(explained)}."
        )
    return None


def _clock(case: _Case) -> list[str]:
    factor = _clock_factor(case)
    if factor <= 1 / _CLOCK_FELL or case.summary is None:
        return []
    capped = case.summary.reason_shares.get(POWER_CAP, 0.0)
    why = f" (power limit in {capped:.0%} of the readings)" if capped else ""
    return [f"The SM clock fell by a factor of {factor:.2f}{why}."]


def _clock_factor(case: _Case) -> float:
    means = [each.mean.get("sm_clock_mhz") if each else None for each in (case.summary_of_one, case.summary)]
    return means[0] / means[1] if means[0] and means[1] else 1.0


def _figures(case: _Case) -> dict[str, float]:
    parts, growth = case.parts, case.growth
    return {
        "share/run": parts.share(parts.run_s),
        "share/behind_others": parts.share(parts.behind_s),
        "share/waiting_idle": parts.share(parts.idle_s),
        "share/host": parts.share(parts.host_s),
        "share/start_and_tail": parts.outside_share,
        "growth/kernels_ms": growth.kernels * 1e3,
        "growth/behind_others_ms": growth.behind * 1e3,
        "growth/waiting_idle_ms": growth.idle * 1e3,
        "growth/host_ms": growth.host * 1e3,
        "growth/start_and_tail_ms": growth.outside * 1e3,
        "gpu_busy_alone_share": _busy_alone(case),
        "trace_slowdown": parts.trace_slowdown,
    }


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms"


def _signed(seconds: float) -> str:
    return f"{seconds * 1e3:+.3g} ms"


def explanations(
    measurements: Sequence[Measurement], partner_ids: dict[str, Sequence[str]]
) -> dict[str, Explanation]:
    """Record id -> explanation, for every run that has one.

    Args:
        measurements: All runs.
        partner_ids: Record id -> the one-process runs it is compared with; the one of the same repeat is taken.
    """
    by_id = {m.record_id: m for m in measurements}
    found = {}
    for m in measurements:
        ones = [by_id[each] for each in partner_ids.get(m.record_id, ()) if each in by_id]
        one = next((each for each in ones if each.cell.repeat == m.cell.repeat), ones[0] if ones else None)
        if explanation := explain(m, one):
            found[m.record_id] = explanation
    return found
