"""Decide which configuration of a panel to use, and say it; pure."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from mps_experiments.analysis.certainty import caveats, certainty_lines
from mps_experiments.analysis.choice import (
    AS_GOOD,
    KNEE,
    Arm,
    Choice,
    choose,
    cost_per_million,
    energy_per_item_j,
    is_open,
    knee_of,
    memory_gib,
    most_of,
)
from mps_experiments.analysis.comparison import output_refusal, seems_impossible
from mps_experiments.analysis.estimates import Estimate
from mps_experiments.analysis.explanation import explanations
from mps_experiments.analysis.gains import Gain
from mps_experiments.analysis.gpu_limits import Cause
from mps_experiments.analysis.numbers import milliseconds, per_cent, rate, short
from mps_experiments.analysis.panels import ARMS, Panel
from mps_experiments.analysis.repeats import Group
from mps_experiments.record.latencies import ENOUGH

_ONE = "one process"
_STATES = {"on": "under MPS", "off": "without MPS"}
_STEPS = {
    Cause.CPU: "The processes wait for CPU cores: try fewer processes, or give them more cores.",
    Cause.MULTIPROCESSORS: "The multiprocessors are used up: try a lower precision or a larger batch.",
    Cause.MEMORY: "Memory bandwidth is used up: try a lower precision or fused operations.",
    Cause.POWER: "The power limit holds the clock down: try a lower precision.",
    Cause.GPU: "The GPU limits the processes: try a lower precision or a larger batch.",
    Cause.CONTENTION: "The processes delay each other on the GPU: try a larger batch with fewer processes.",
}


@dataclass(frozen=True, kw_only=True)
class Decision(Choice):
    """The configuration to use, and what it is compared with; see `Choice` for the numbers.

    Attributes:
        headline: The decision in one sentence; what withholds a verdict stands before it.
        details: What is missing, what is open, how sure it is: a sentence each.
        next_step: What to try next; empty if nothing is known.
    """

    headline: str
    details: tuple[str, ...]
    next_step: str


def decide(panel: Panel) -> Decision | None:
    """Decide from the VALID runs of a panel with one stratum; None where fewer than two cells have any.

    Where something slowed the one-process run of an arm, the arm's gains are not told.
    """
    choice = choose(panel)
    if choice is None:
        return None
    return Decision(
        **vars(choice),
        headline=" ".join([*_no_verdicts(panel, choice), _headline(panel, choice)]),
        details=tuple(_details(panel, choice)),
        next_step=_next_step(panel, choice),
    )


def _no_verdicts(panel: Panel, choice: Choice) -> Iterator[str]:
    for mps, shown in choice.slowed.items():
        state = f" {_STATES[mps]}" if panel.on_gpu else ""
        yield (
            f"No verdict{state}: {shown}, which is impossible. Something slowed the one-process run: "
            "measure it again."
        )


def _headline(panel: Panel, choice: Choice) -> str:
    best = choice.best
    parts = [_arm_text(panel, choice, best, choice.knee, choice.over_off)]
    if choice.over_one is not None and is_open(choice.over_one):
        parts.append("whether packing pays is open")
    if choice.over_one is not None and seems_impossible(best.procs, choice.over_one):
        parts.append(f"{best.procs} cannot do as much: the one-process run may have been slowed")
    if best.first.cell.mps == "off" and choice.arms["on"]:
        most = choice.leaders["on"]
        gain = Gain.between(most, best)
        parts.append(f"the best under MPS ({_replicas(most)}) does {_times_text(gain, 'that')}")
    compared = [each.denominator for each in (choice.over_one, choice.over_off) if each]
    return f"{'; '.join([*parts, *caveats([best, *compared])])}."


def _arm_text(panel: Panel, choice: Choice, best: Group, knee: Group, over_off: Gain | None) -> str:
    """Return the best of an arm, its gains and costs, and how close fewer replicas come."""
    mps = best.first.cell.mps
    one = choice.arms[mps].get(1)
    measured = "As measured, " if mps in choice.slowed else ""
    parts = [f"{measured}{cell_text(panel, best)}"]
    if one is not None and one is not best and not measured:
        parts.append(_times_text(Gain.between(best, one), _ONE))
    if over_off is not None:
        parts.append(_times_text(over_off, "the best without MPS"))
    return "; ".join([", ".join(parts), costs_text(best), *_fewer(choice.arms[mps], best, knee)])


def _fewer(arm: Arm, best: Group, knee: Group) -> Iterator[str]:
    """Say how close fewer replicas come; where the fewest are best or more do not pay, what more do."""
    most = most_of(arm.values())
    if best is not knee:
        share = per_cent(knee.throughput_median_per_s / best.throughput_median_per_s)
        yield f"{_replicas(knee)} {'reaches' if knee.procs == 1 else 'reach'} {share} of that"
    elif best.procs > min(arm):
        yield f"no fewer reach {per_cent(KNEE)} of that"
    if most is not best or (best.procs == min(arm) and len(arm) > 1):
        more = Gain.between(most_of(group for group in arm.values() if group.procs > best.procs), best)
        is_as_good = (
            most is not best and best.throughput_median_per_s >= AS_GOOD * most.throughput_median_per_s
        )
        verdict = "more do not pay" if is_as_good or not is_open(more) else "whether more pay is open"
        yield f"{verdict}: {_replicas(more.numerator)} do {_times_text(more, 'that')}"


def _details(panel: Panel, choice: Choice) -> Iterator[str]:
    best, knee, arm = choice.best, choice.knee, choice.arm
    if best is not knee and knee.procs > 1:
        gained = f", {_times_text(choice.knee_over_one, _ONE)}" if choice.knee_over_one else ""
        yield f"{cell_text(panel, knee)}{gained}; {costs_text(knee)}."
    if 1 not in arm:
        yield "What one process does is not known: it has no VALID run."
    elif best.procs > 1:
        yield f"{cell_text(panel, arm[1])}; {costs_text(arm[1])}."
    state = "on" if best.first.cell.mps == "off" else "off"
    other, leader = choice.arms[state], choice.leaders.get(state)
    if leader is not None and len(other) > 1:
        yield f"{_arm_text(panel, choice, leader, knee_of(other, leader), None)}."
    if best is not knee and is_open(step := Gain.between(best, knee)):
        yield f"Whether {best.procs} do more than {knee.procs} is open: {_times_text(step, 'that')}."
    if leader is not None and is_open(choice.over_off or Gain.between(leader, best)):
        yield "Whether MPS gains anything is open."
    if best.first.cell.mps == "on" and leader is not None and (refusal := output_refusal(best, leader)):
        yield f"MPS on and off are not compared: {refusal}."
    if larger := _larger_tried(panel, choice):
        yield f"procs={','.join(map(str, larger))} has no VALID run."
    yield from gaps(panel)
    yield from certainty_lines(panel, choice.arms)


def gaps(panel: Panel) -> Iterator[str]:
    """Say which cells a decision lacks and why: a sentence each."""
    for mps in ARMS:
        arm = panel.arm(mps)
        for group in arm.values():
            if 1 in arm and panel.ratio(group).gain is None:
                yield f"{group.first.cell_name} is left out: {panel.ratio(group).reason}."
        if panel.on_gpu and not any(count > 1 for count in arm):
            yield _why_missing(mps, panel)
    if panel.other_times:
        others = ", ".join(map(str, panel.other_times))
        yield f"This is about times={panel.times}; the tables also have times={others}."
    if panel.left_out:
        yield f"VALID runs that differ in {', '.join(panel.left_out)} are in the tables only."


def _why_missing(mps: str, panel: Panel) -> str:
    """Say what to do, or what went wrong, where an arm has no VALID run of several processes."""
    there = [m for m in panel.measurements if m.cell.mps == mps]
    several = [m for m in there if m.cell.procs > 1]
    if not there:
        return f"mps={mps} is not among these runs: add mps=on,off for the other half of the answer."
    if not several:
        return f"mps={mps} has no run of several processes: add procs=1,2."
    failed = [m for m in several if not m.verdict.is_valid]
    if not failed:
        return f"mps={mps} has no VALID run of several processes with times={panel.times} as well."
    why = failed[0].verdict
    return f"mps={mps} has no VALID run of several processes ({why.status.value}: {why.reason})."


def _larger_tried(panel: Panel, choice: Choice) -> list[int]:
    """List larger numbers of processes that have no VALID run in the arm of the best."""
    cell = choice.best.first.cell
    tried = [m.cell for m in panel.measurements if (m.cell.mps, m.cell.times) == (cell.mps, panel.times)]
    return sorted({each.procs for each in tried if each.procs > max(choice.arm)})


def _next_step(panel: Panel, choice: Choice) -> str:
    """Say what to try next, from what limits the best cell; where one process is best, the next larger."""
    best, arm = choice.best, choice.arm
    several = [group for group in arm.values() if group.procs > 1]
    if not several:
        return "Nothing was packed: try procs=1,2,4."
    cause = _cause(panel, choice, best if best.procs > 1 else several[0])
    has_cores = best.procs < len(panel.first.machine.usable_cores)
    is_most = best.procs == max(arm) and has_cores and not _larger_tried(panel, choice)
    if cause is Cause.TIME_SLICED:
        tried = any(count > 1 for count in choice.arms["on"])
        return "" if tried else "Without MPS the processes take turns on the GPU: try mps=on,off."
    if cause is Cause.HOST:
        what = "more processes or CUDA graphs" if is_most else "CUDA graphs or a larger batch"
        return f"The host, not the GPU, limits each process: try {what}."
    if cause in _STEPS:
        return _STEPS[cause]
    if is_most and best is choice.knee and best.procs > 1:
        return f"Throughput still grows at {_replicas(best)}, the most measured: try more."
    return ""


def _cause(panel: Panel, choice: Choice, group: Group) -> Cause | None:
    """Return the cause that most repeats of a cell have; None if there is no such."""
    one = choice.arm[1].measurements if 1 in choice.arm else ()
    found = explanations([*group.measurements, *one], panel.ratios)
    causes = Counter(found[m.record_id].cause for m in group.measurements if m.record_id in found)
    return next((cause for cause, count in causes.items() if count * 2 > len(group)), None)


def cell_text(panel: Panel, group: Group) -> str:
    """Return a cell and its throughput, such as ``16 replicas under MPS: 2,332 images/s``."""
    state = _STATES[group.first.cell.mps] if panel.on_gpu else "on the CPU"
    return f"{_replicas(group)} {state}: {_rate_text(group)}"


def costs_text(group: Group) -> str:
    """Return what a cell costs: p50, p99 or why there is none, memory, energy."""
    latencies = group.latencies
    p99_s, enough = latencies.percentile_s(99), f"{ENOUGH[99]:,}"
    parts = [
        f"p50 {milliseconds(latencies.percentile_s(50))} ms",
        f"p99 {milliseconds(p99_s)} ms" if p99_s else f"no p99 ({latencies.count} of {enough} iterations)",
    ]
    if (gib := memory_gib(group)) is not None:
        parts.append(f"{short(gib)} GiB")
    if (energy_j := energy_per_item_j(group)) is not None:
        parts.append(f"{short(energy_j)} J per {group.first.cell.item}")
    if (cost := cost_per_million(group)) is not None:
        parts.append(f"cost {short(cost)} per million {group.first.cell.item}s")
    return ", ".join(parts)


def _times_text(gain: Estimate, what: str) -> str:
    """Return a gain over something, such as ``10.3 times that [9.40 to 11.4]``; a rough interval is named."""
    text = f"{_factor(gain.value)} times {what}"
    if gain.interval is None:
        return f"{text} (interval unknown)"
    low, high = map(_factor, gain.interval)
    return f"{text} [{'rough: ' if gain.rough else ''}{low} to {high}]"


def _rate_text(group: Group) -> str:
    """Return the median throughput, with the unit."""
    return f"{rate(group.throughput_median_per_s)} {group.first.cell.item}s/s"


def _factor(value: float) -> str:
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _replicas(group: Group) -> str:
    return "1 replica" if group.procs == 1 else f"{group.procs} replicas"
