"""The ratio of each cell to its one-process partner; pure, and the same whatever the order of the cells."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mps_experiments.measurement.verdict import Status
from mps_experiments.record import Measurement
from mps_experiments.report.keys import comparison_keys, differing_keys, frozen
from mps_experiments.report.parity import difference_text, worst_difference
from mps_experiments.report.repeats import Group, ratio_interval

_REFUSED = "not comparable with the one-process run: "


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """How much longer N processes take than one, everything else equal.

    Attributes:
        value: Makespan of this run / median makespan of its partners: 1.0 is free concurrency, N is serial.
            None if there is no number.
        partner_ids: Record ids of the one-process runs compared with; of several, the median makespan counts.
        reason: Why there is no number; empty if there is one.
        repeats: How many VALID repeats the run's cell has, this one included.
        median: Median makespan of the repeats / median makespan of the partners.
        interval: 95 % confidence interval of `median` (see `ratio_interval`); None if either has one repeat.
        spread: What is known of the spread, in words.
    """

    value: float | None
    partner_ids: tuple[str, ...] = ()
    reason: str = ""
    repeats: int = 0
    median: float | None = None
    interval: tuple[float, float] | None = None
    spread: str = ""


def ratios(measurements: Sequence[Measurement]) -> dict[str, Ratio]:
    """Record id -> ratio, over VALID ordinary runs that agree in all but procs and repeat."""
    found = {m.record_id: Ratio(value=None, reason=_not_compared(m)) for m in measurements}
    every = groups(measurements)
    ones = [group for group in every if group.first.cell.procs == 1]
    partners = {frozen(comparison_keys(group.first)): group for group in ones}
    for group in every:
        partner = partners.get(frozen(comparison_keys(group.first)))
        found |= _ratios(group, partner) if partner else _refused(group, _no_partner(group, ones))
    return found


def _not_compared(m: Measurement) -> str:
    return f"the run is {m.verdict.status.value}" if m.is_ordinary else "a run with a fault"


def groups(measurements: Sequence[Measurement]) -> list[Group]:
    """The VALID ordinary runs, repeats of one cell together; cells in the order of their first run."""
    by_cell: dict[tuple[str, int], list[Measurement]] = defaultdict(list)
    for m in measurements:
        if m.verdict.status is Status.VALID and m.is_ordinary:
            by_cell[frozen(comparison_keys(m)), m.cell.procs].append(m)
    return [Group.of(repeats) for repeats in by_cell.values()]


def _ratios(group: Group, partner: Group) -> dict[str, Ratio]:
    difference = worst_difference(partner.measurements, group.measurements)
    if difference is not None and not difference.within_tolerance:
        return _refused(group, f"{_REFUSED}output ({difference_text(difference)})")
    known = min(len(group), len(partner)) > 1 and group is not partner
    shared = Ratio(
        value=None,
        partner_ids=tuple(each.record_id for each in partner.measurements),
        repeats=len(group),
        median=group.median_s / partner.median_s,
        interval=ratio_interval(group.makespans_s, partner.makespans_s) if known else None,
        spread=_spread(group, partner),
    )
    own = zip(group.measurements, group.makespans_s, strict=True)
    return {m.record_id: replace(shared, value=seconds / partner.median_s) for m, seconds in own}


def _spread(group: Group, partner: Group) -> str:
    if len(group) == 1:
        return "spread unknown (one repeat)"
    if group is partner:
        return "one process is the reference"
    if len(partner) == 1:
        return "spread unknown (one repeat of one process)"
    unequal = f", {len(partner)} of one process" if len(partner) != len(group) else ""
    return f"95 % interval over {len(group)} repeats{unequal}"


def _refused(group: Group, reason: str) -> dict[str, Ratio]:
    return {m.record_id: Ratio(value=None, reason=reason, repeats=len(group)) for m in group.measurements}


def _no_partner(group: Group, ones: Sequence[Group]) -> str:
    """Why none of the one-process runs will do, with the names of what differs in the nearest one."""
    cell, own = group.first.cell, comparison_keys(group.first)
    missing = f"no VALID one-process run with mps={cell.mps} times={cell.times}"
    candidates = [one for one in ones if one.first.cell.mps == cell.mps]
    same_times = [one for one in candidates if one.first.cell.times == cell.times]
    found = sorted(
        (len(differing), one.first.record_id, differing)
        for one in same_times or candidates
        if (differing := differing_keys(own, comparison_keys(one.first)))
    )
    if not found:
        return missing
    differing = found[0][2]
    text = _REFUSED + ", ".join(differing)
    if same_times:
        return text
    return missing if len(differing) == 1 else f"{missing}; {text}"
