"""The answer first: does packing pay, how far, and how sure is that; pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mps_experiments.measurement.verdict import Status
from mps_experiments.pages.figures import median_latency_s, rate
from mps_experiments.pages.packing import Packing, gain, packing
from mps_experiments.pages.panels import ARMS, Panel
from mps_experiments.record import Measurement
from mps_experiments.report.explanation import TOO_FAST
from mps_experiments.report.numbers import milliseconds
from mps_experiments.report.repeats import Group

_FEW = 5  # repeats; see `ratio_interval`
_WORDS = {1: "One", 2: "Two", 3: "Three", 4: "Four", 5: "Five", 6: "Six", 7: "Seven", 8: "Eight"}
_OF_ONE = " times the time of one"
_STATES = {"on": "under MPS", "off": "without MPS"}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a panel says about packing.

    Attributes:
        headline: One sentence.
        details: The sentences after it.
    """

    headline: str
    details: tuple[str, ...]

    @property
    def text(self) -> str:
        return " ".join((self.headline, *self.details))


def answer(panel: Panel) -> Answer:
    """What the VALID runs of a panel say, and which are missing for more."""
    arms = {mps: panel.arm(mps) for mps in ARMS}
    return Answer(headline=_headline(panel, arms), details=tuple(_details(panel, arms)))


def _headline(panel: Panel, arms: Mapping[str, Mapping[int, Group]]) -> str:
    """The ratio of the smallest pack, in both arms if they are there."""
    counts = sorted({count for arm in arms.values() for count in arm if count > 1})
    if not counts:
        return "No VALID run with several processes: nothing can be said about packing."
    count = next((each for each in counts if all(each in arm for arm in arms.values())), counts[0])
    said = [(mps, _ratio_words(panel, arms[mps][count])) for mps in ("on", "off") if count in arms[mps]]
    first, *rest = said
    state = _STATES[first[0]] if panel.on_gpu else "at once on the CPU"
    text = f"{_word(count)} replicas {state} take {first[1]}"
    known = _OF_ONE if _OF_ONE in first[1] else ""  # said once
    return "; ".join([text, *(f"{_in_turn(mps)} {words.replace(known, '')}" for mps, words in rest)]) + "."


def _in_turn(mps: str) -> str:
    return "time-sliced" if mps == "off" else _STATES[mps]


def _ratio_words(panel: Panel, group: Group) -> str:
    ratio = panel.ratio(group)
    if ratio.median is None:
        return f"{group.median_s:.2f} s (no ratio: {ratio.reason})"
    interval = (
        f" [95 % interval {ratio.interval[0]:.2f} to {ratio.interval[1]:.2f}]" if ratio.interval else ""
    )
    return f"{ratio.median:.2f}{_OF_ONE}{interval}"


def _details(panel: Panel, arms: Mapping[str, Mapping[int, Group]]) -> Iterator[str]:
    if not panel.on_gpu:
        yield "Without a GPU nothing measured here says anything about MPS."
    found = {mps: packing(arms[mps]) for mps in ("on", "off")}
    for mps, each in found.items():
        if each is not None:
            yield from _packing_words(panel, mps, each)
    yield from _too_fast(panel, arms)
    yield from _best_words(arms)
    if (on := found["on"]) is not None and on.limit is not on.fewest:
        yield _latency_words(on.fewest, on.limit)
    for mps in ARMS:
        if panel.on_gpu and not any(count > 1 for count in arms[mps]):
            yield _why_missing(mps, panel)
    if panel.other_times:
        others = ", ".join(map(str, panel.other_times))
        are = "are" if len(panel.other_times) > 1 else "is"
        yield f"All this is of times={panel.times}; times={others} {are} in the tables only."
    if panel.left_out:
        yield (
            f"VALID runs that differ from these in {', '.join(panel.left_out)} are in the tables, "
            "but neither in this answer nor in the charts."
        )
    yield from _certainty(panel, arms)


def _packing_words(panel: Panel, mps: str, found: Packing) -> Iterator[str]:
    state = f"{_STATES[mps][0].upper()}{_STATES[mps][1:]} packing" if panel.on_gpu else "Packing"
    fewest, limit, beyond = found.fewest, found.limit, found.beyond
    yet = "; by the spread of the repeats it may yet" if found.may_pay_beyond else ""
    if limit is fewest and beyond is not None:
        more = "" if _procs(fewest) == 1 else f" more than {_procs(fewest)}"
        yield (
            f"{state}{more} does not pay: {_procs(beyond)} replicas together do {_rate(beyond)}, "
            f"{gain(fewest, beyond):.2f} times what {_few(fewest)}{yet}."
        )
        yield from _unknown_of_one(fewest)
        return
    most = "" if beyond is not None else f", {_the_most(panel, mps, _procs(limit))}"
    yield (
        f"{state} pays up to {_procs(limit)} replicas{most}: together they do {_rate(limit)}, "
        f"{gain(fewest, limit):.2f} times what {_few(fewest)}."
    )
    yield from _unknown_of_one(fewest)
    if beyond is not None:
        more = f"{gain(limit, beyond):.2f}"
        yield f"Beyond that it does not: {_procs(beyond)} do {_rate(beyond)}, {more} times that{yet}."
    for step in found.flat:
        yield f"The step from {_procs(step[0])} to {_procs(step[1])} alone does not: {gain(*step):.2f} times."
    for fewer, larger in found.unsure:
        yield f"That {_procs(larger)} do more than {_procs(fewer)} is within the spread of the repeats."


def _unknown_of_one(fewest: Group) -> Iterator[str]:
    if _procs(fewest) > 1:
        yield (
            f"What one replica does is not known: there is no VALID run of it, so whether "
            f"{_procs(fewest)} pay is not known either."
        )


def _the_most(panel: Panel, mps: str, limit: int) -> str:
    """What is known of more; a larger number may have been tried without a VALID run."""
    tried = [m for m in panel.measurements if m.cell.mps == mps and m.cell.times == panel.times]
    larger = sorted({m.cell.procs for m in tried if m.cell.procs > limit})
    if not larger:
        return "the most that were measured"
    return f"the most with a VALID run (procs={','.join(map(str, larger))} has none)"


def _too_fast(panel: Panel, arms: Mapping[str, Mapping[int, Group]]) -> Iterator[str]:
    """N processes cannot be faster than one: then the one was slowed, and what rests on it is too good."""
    for mps, arm in arms.items():
        found = [(_procs(group), panel.ratio(group).median) for group in arm.values()]
        below = [f"{procs} ({ratio:.2f})" for procs, ratio in found if ratio is not None and ratio < TOO_FAST]
        if below:
            state = f" {_STATES[mps]}" if panel.on_gpu else ""
            yield (
                f"The ratio{state} of {', '.join(below)} processes is below 1: something slowed the "
                "one-process run, and gains over one replica are too large. Repeat both."
            )


def _best_words(arms: Mapping[str, Mapping[int, Group]]) -> Iterator[str]:
    """The best of each arm against each other: what switching MPS on is worth."""
    if not all(len(arm) > 1 for arm in arms.values()):
        return
    best = {
        mps: max(arm.values(), key=lambda group: group.throughput_median_per_s) for mps, arm in arms.items()
    }
    yield (
        f"The most with MPS ({_procs(best['on'])} {_replicas(best['on'])}, {_rate(best['on'])}) is "
        f"{gain(best['off'], best['on']):.2f} times the most without "
        f"({_procs(best['off'])} {_replicas(best['off'])}, {_rate(best['off'])})."
    )


def _latency_words(fewest: Group, limit: Group) -> str:
    one, many = (median_latency_s(group, "latency_p50_s") for group in (fewest, limit))
    return (
        f"Under MPS an iteration takes {milliseconds(many)} ms (median) with {_procs(limit)} replicas, "
        f"{milliseconds(one)} ms with {_one(fewest)}: {many / one:.2f} times."
    )


def _why_missing(mps: str, panel: Panel) -> str:
    """What is to be done, or what came in between, where an arm has no VALID run of several processes."""
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


def _certainty(panel: Panel, arms: Mapping[str, Mapping[int, Group]]) -> Iterator[str]:
    used = [group for arm in arms.values() for group in arm.values()]
    if not used:
        return
    counts = {len(group) for group in used}
    if max(counts) == 1:
        yield "One repeat each: the spread is unknown; add repeat=0,1,2 before you act on it."
    elif min(counts) == 1:
        yield "Some cells have one repeat only: their spread is unknown."
    elif min(counts) < _FEW and any(panel.ratio(group).interval for group in used):
        yield f"With {min(counts)} repeats the intervals are only a hint."


def _rate(group: Group) -> str:
    return f"{rate(group)} iterations/s"


def _procs(group: Group) -> int:
    return group.first.cell.procs


def _replicas(group: Group) -> str:
    return "replica" if _procs(group) == 1 else "replicas"


def _few(group: Group) -> str:
    return "one does" if _procs(group) == 1 else f"{_procs(group)} do"


def _one(group: Group) -> str:
    return "one" if _procs(group) == 1 else str(_procs(group))


def _word(count: int) -> str:
    return _WORDS.get(count, str(count))
