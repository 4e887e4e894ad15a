"""Sentences on how far packing pays in one arm; pure."""

from collections.abc import Iterator, Sequence

from mps_experiments.analysis.estimates import Estimate
from mps_experiments.analysis.gains import Gain
from mps_experiments.analysis.numbers import rate
from mps_experiments.analysis.packing import PAYS, Packing, is_open
from mps_experiments.analysis.panels import Panel
from mps_experiments.analysis.repeats import Group

LESS = f"less than {PAYS:g} times"
STATES = {"on": "under MPS", "off": "without MPS"}


def packing_words(panel: Panel, mps: str, found: Packing) -> Iterator[str]:
    """Say how far packing pays, what lies beyond, and what is open."""
    state = f"{STATES[mps][0].upper()}{STATES[mps][1:]} packing" if panel.on_gpu else "Packing"
    fewest, limit, opened = found.fewest, found.limit, found.open_beyond
    if limit is fewest:
        more = "" if procs_of(fewest) == 1 else f" more than {procs_of(fewest)}"
        gain = opened or found.beyond[0]
        many, whose = gain.numerator, f"what {_few(fewest)}"
        verdict = f"is open whether {state[0].lower()}{state[1:]}{more} pays" if opened else _pays_not(found)
        begin = f"It {verdict}" if opened else f"{state}{more} {verdict}"
        yield f"{begin}: {procs_of(many)} replicas together do {rate_text(many)}, {times_text(gain)} {whose}."
        yield from _unknown_of_one(fewest)
        return
    most = "" if found.beyond else f", {_the_most(panel, mps, procs_of(limit))}"
    gain = Gain.between(limit, fewest)
    pays = "seems to pay" if gain.is_vague else "pays"
    yield (
        f"{state} {pays} up to {procs_of(limit)} replicas{most}: together they do {rate_text(limit)}, "
        f"{times_text(gain)} what {_few(fewest)}."
    )
    yield from _unknown_of_one(fewest)
    if opened:
        many = opened.numerator
        yield f"Whether more pay is open: {procs_of(many)} do {rate_text(many)}, {times_text(opened)} that."
    elif found.beyond:
        gain = found.beyond[0]
        many = gain.numerator
        begin = "Beyond that it seems not to" if _any_vague(found.beyond) else "Beyond that it does not"
        yield f"{begin}: {procs_of(many)} do {rate_text(many)}, {times_text(gain)} that."
    yield from _steps(found)


def _pays_not(found: Packing) -> str:
    """Name what paying takes where the interval holds 1: more may be gained, but not enough."""
    interval = found.beyond[0].interval
    less = f" ({LESS})" if interval and interval[1] >= 1 else ""
    return f"{'seems not to' if _any_vague(found.beyond) else 'does not'} pay{less}"


def _any_vague(found: Sequence[Gain]) -> bool:
    return any(gain.is_vague for gain in found)


def _steps(found: Packing) -> Iterator[str]:
    """Name the steps on the way that alone are not known to pay."""
    for gain in found.steps:
        step = f"the step from {procs_of(gain.denominator)} to {procs_of(gain.numerator)} alone"
        if is_open(gain):
            yield f"Whether {step} pays is open: {times_text(gain)}."
        elif gain.value < PAYS:
            does_not = "seems not to" if gain.is_vague else "does not"
            yield f"T{step[1:]} {does_not}: {times_text(gain)}."


def _unknown_of_one(fewest: Group) -> Iterator[str]:
    if procs_of(fewest) > 1:
        yield (
            f"What one replica does is not known: there is no VALID run of it, so whether "
            f"{procs_of(fewest)} pay is not known either."
        )


def _the_most(panel: Panel, mps: str, limit: int) -> str:
    """Say what is known of more: a larger number may have been tried without a VALID run."""
    tried = [m for m in panel.measurements if m.cell.mps == mps and m.cell.times == panel.times]
    larger = sorted({m.cell.procs for m in tried if m.cell.procs > limit})
    if not larger:
        return "the most that were measured"
    return f"the most with a VALID run (procs={','.join(map(str, larger))} has none)"


def _few(group: Group) -> str:
    return "one does" if procs_of(group) == 1 else f"{procs_of(group)} do"


def times_text(gain: Estimate) -> str:
    """Return the value with its interval in brackets."""
    between = (
        f" [{gain.interval[0]:.2f} to {gain.interval[1]:.2f}]" if gain.interval else " (interval unknown)"
    )
    return f"{gain.value:.2f} times{between}"


def rate_text(group: Group) -> str:
    """Return the median throughput, with the unit."""
    return f"{rate(group.throughput_median_per_s)} {group.first.cell.item}s/s"


def procs_of(group: Group) -> int:
    """Return the number of processes."""
    return group.first.cell.procs
