"""Answer first: does packing pay, how far, and how sure is that? Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mps_experiments.analysis.certainty import caveats, certainty_lines, vagueness
from mps_experiments.analysis.explanation import TOO_FAST
from mps_experiments.analysis.gains import Gain
from mps_experiments.analysis.numbers import milliseconds
from mps_experiments.analysis.packing import packing
from mps_experiments.analysis.packing_words import STATES, packing_words, procs_of, rate_text, times_text
from mps_experiments.analysis.panels import ARMS, Panel
from mps_experiments.analysis.repeats import Group
from mps_experiments.record.measurement import Measurement
from mps_experiments.record.verdict import Status

_WORDS = {1: "One", 2: "Two", 3: "Three", 4: "Four", 5: "Five", 6: "Six", 7: "Seven", 8: "Eight"}
_OF_ONE = " what one does"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The answer of a panel about packing.

    Attributes:
        headline: One sentence.
        details: The sentences after it.
    """

    headline: str
    details: tuple[str, ...]

    @property
    def text(self) -> str:
        """Return all of it, as one paragraph."""
        return " ".join((self.headline, *self.details))


def answer(panel: Panel) -> Answer:
    """Say what the VALID runs of a panel show, and which are missing for more.

    An arm whose one-process run was slowed has no verdict: that stands first, before its numbers.
    """
    arms = {mps: panel.arm(mps) for mps in ARMS}
    slowed = {mps: text for mps in ("on", "off") if (text := _slowed(panel, arms[mps]))}
    headline, details = _headline(panel, arms), _details(panel, arms, slowed)
    if not slowed:
        return Answer(headline=headline, details=tuple(details))
    caveats = [_no_verdict(f" {STATES[mps]}" if panel.on_gpu else "", text) for mps, text in slowed.items()]
    measured = f"As measured, {headline[0].lower()}{headline[1:]}"
    return Answer(headline=" ".join(caveats), details=(measured, *details))


def _headline(panel: Panel, arms: Mapping[str, Mapping[int, Group]]) -> str:
    """Return the gain of the smallest pack that all arms have, with what makes it doubtful."""
    counts = sorted({count for arm in arms.values() for count in arm if count > 1})
    if not counts:
        return "No VALID run with several processes: nothing can be said about packing."
    count = next((each for each in counts if all(each in arm for arm in arms.values())), counts[0])
    packs = [arms[mps][count] for mps in ("on", "off") if count in arms[mps]]
    first, *rest = packs
    state = STATES[first.first.cell.mps] if panel.on_gpu else "at once on the CPU"
    text = f"{_word(count)} replicas {state} do {_gain_words(panel, first)}"
    named = panel.ratio(first).gain
    said_once = (_OF_ONE if _OF_ONE in text else "", f"{named.interval_name} " if named else "")
    for group in rest:
        words = _gain_words(panel, group)
        for each in said_once:
            words = words.replace(each, "")
        text += f"; {_in_turn(group.first.cell.mps)} {words}"
    ones = [one for group in packs if (one := arms[group.first.cell.mps].get(1))]
    return f"{', '.join([text, *caveats([*packs, *ones])])}."


def _in_turn(mps: str) -> str:
    return "time-sliced" if mps == "off" else STATES[mps]


def _gain_words(panel: Panel, group: Group) -> str:
    ratio = panel.ratio(group)
    if ratio.gain is None:
        return f"{rate_text(group)} (no gain: {ratio.reason})"
    between = ratio.gain.interval
    named = f"{ratio.gain.interval_name} "
    interval = f" [{named}{between[0]:.2f} to {between[1]:.2f}]" if between else ""
    return f"{ratio.gain.value:.2f} times{_OF_ONE}{interval}{vagueness(ratio.gain)}"


def _details(
    panel: Panel, arms: Mapping[str, Mapping[int, Group]], slowed: Mapping[str, str]
) -> Iterator[str]:
    if not panel.on_gpu:
        yield "Without a GPU nothing measured here says anything about MPS."
    judged = [mps for mps in ("on", "off") if mps not in slowed]
    found = {mps: each for mps in judged if (each := packing(_alike(panel, arms[mps])))}
    for mps, each in found.items():
        yield from packing_words(panel, mps, each)
    yield from _best_words(arms)
    if (on := found.get("on")) is not None and on.limit is not on.fewest:
        yield _latency_words(on.fewest, on.limit)
    for mps in ARMS:
        if panel.on_gpu and not any(count > 1 for count in arms[mps]):
            yield _why_missing(mps, panel)
    if panel.other_times:
        others = ", ".join(map(str, panel.other_times))
        are = "are" if len(panel.other_times) > 1 else "is"
        yield f"This answer is about times={panel.times}; times={others} {are} in the tables only."
    if panel.left_out:
        yield (
            f"VALID runs that differ from these in {', '.join(panel.left_out)} are in the tables, "
            "but neither in this answer nor in the charts."
        )
    yield from certainty_lines(panel, arms)


def _alike(panel: Panel, arm: Mapping[int, Group]) -> dict[int, Group]:
    """Leave out cells that may not be compared with one process since their outputs differ."""
    return {count: group for count, group in arm.items() if 1 not in arm or panel.ratio(group).gain}


def _slowed(panel: Panel, arm: Mapping[int, Group]) -> str:
    """Say what shows that something slowed the one-process run of an arm; empty if nothing does.

    The ratio is that of the slowest process. Where that one was slowed as well, only the gain tells.
    """
    shown = []
    for count, group in arm.items():
        ratio = panel.ratio(group)
        if count == 1 or ratio.gain is None or ratio.overall is None:
            continue
        if ratio.gain.value > count / TOO_FAST:
            shown.append(f"{count} do {ratio.gain.value:.2f} times")
        elif ratio.overall.value < TOO_FAST:
            shown.append(f"each of {count} takes {ratio.overall.value:.2f} times as long")
    return " and ".join(shown)


def _no_verdict(state: str, shown: str) -> str:
    return (
        f"No verdict{state}: something slowed the one-process run. N processes cannot do more than N times "
        f"what one does, yet {shown}. Measure them again."
    )


def _best_words(arms: Mapping[str, Mapping[int, Group]]) -> Iterator[str]:
    """Compare the best of each arm: what switching MPS on is worth."""
    if not all(len(arm) > 1 for arm in arms.values()):
        return
    best = {
        mps: max(arm.values(), key=lambda group: group.throughput_median_per_s) for mps, arm in arms.items()
    }
    yield (
        f"The most with MPS ({procs_of(best['on'])} {_replicas(best['on'])}, {rate_text(best['on'])}) is "
        f"{times_text(Gain.between(best['on'], best['off']))} the most without "
        f"({procs_of(best['off'])} {_replicas(best['off'])}, {rate_text(best['off'])})."
    )


def _latency_words(fewest: Group, limit: Group) -> str:
    one, many = (group.latencies.quantile_s(0.5) for group in (fewest, limit))
    return (
        f"Under MPS an iteration takes {milliseconds(many)} ms (median) with {procs_of(limit)} replicas, "
        f"{milliseconds(one)} ms with {_one(fewest)}: {many / one:.2f} times."
    )


def _why_missing(mps: str, panel: Panel) -> str:
    """Say what to do, or what went wrong, where an arm has no VALID run of several processes."""
    there = [m for m in panel.measurements if m.cell.mps == mps]
    several = [m for m in there if m.cell.procs > 1]
    if not there:
        return f"mps={mps} is not among these runs: add mps=on,off for the other half of the answer."
    if not several:
        return f"mps={mps} has no run of several processes: add procs=1,2."
    failed = [m for m in several if m.verdict.status is not Status.VALID]
    if not failed:
        return f"mps={mps} has no VALID run of several processes with times={panel.times} as well."
    return f"mps={mps} has no VALID run of several processes ({_verdict(failed[0])})."


def _verdict(m: Measurement) -> str:
    return f"{m.verdict.status.value}: {m.verdict.reason}"


def _replicas(group: Group) -> str:
    return "replica" if procs_of(group) == 1 else "replicas"


def _one(group: Group) -> str:
    return "one" if procs_of(group) == 1 else str(procs_of(group))


def _word(count: int) -> str:
    return _WORDS.get(count, str(count))
