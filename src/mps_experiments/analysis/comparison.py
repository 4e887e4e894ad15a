"""Compare each cell with its one-process partner; pure, and the same whatever the order of the cells."""

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mps_experiments.analysis.estimates import Estimate, compare, pace, throughput
from mps_experiments.analysis.keys import comparison_keys, differing_keys, frozen
from mps_experiments.analysis.parity import difference_text, worst_difference
from mps_experiments.analysis.repeats import Group, paired
from mps_experiments.record.measurement import Measurement

TOO_FAST = 0.95  # ratio below which the one-process run was slowed down by something else
_REFUSED = "not comparable with the one-process run: "
_TWIN = "the second of two equal runs (A/A), which only shows what equal runs differ by"


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """N processes compared with one, everything else equal.

    Attributes:
        value: Pace of this run / pace of the one-process run of its block, or, where its block has none, the
            median of all: 1.0 is free concurrency, N is serial. None if there is no number.
        run_gain: Throughput of this run / that of one process, by the same rule; None likewise.
        partner_ids: Record ids of the one-process runs compared with.
        reason: Why there is no number, or why none is told; empty if there is one.
        repeats: How many VALID repeats the run's cell has, this one included.
        overall: The ratio of the whole cell, over its blocks; None if there is no number.
        gain: The gain of the whole cell, over its blocks; None likewise.
        slowed: What shows that something slowed the one-process run; empty if nothing does.
    """

    value: float | None
    run_gain: float | None = None
    partner_ids: tuple[str, ...] = ()
    reason: str = ""
    repeats: int = 0
    overall: Estimate | None = None
    gain: Estimate | None = None
    slowed: str = ""

    @property
    def told(self) -> "Ratio":
        """Return what tables, export and MLflow tell: no number over a one-process run that was slowed."""
        nothing = replace(self, value=None, run_gain=None, overall=None, gain=None)
        return nothing if self.slowed else self


def ratios(measurements: Sequence[Measurement]) -> dict[str, Ratio]:
    """Return record id -> ratio, over VALID ordinary runs that agree in all but procs and repeat."""
    found = {m.record_id: Ratio(value=None, reason=_not_compared(m)) for m in measurements}
    every = groups(measurements)
    ones = [group for group in every if group.first.cell.procs == 1]
    partners = {frozen(comparison_keys(group.first)): group for group in ones}
    for group in every:
        partner = partners.get(frozen(comparison_keys(group.first)))
        found |= _ratios(group, partner) if partner else _refused(group, _no_partner(group, ones))
    return found | _slowed(every, partners, found)


def _slowed(
    every: Sequence[Group], partners: Mapping[str, Group], found: Mapping[str, Ratio]
) -> dict[str, Ratio]:
    """Return the ratios over those one-process runs that something slowed, with what shows it.

    The ratio is that of the slowest process. Where that one was slowed as well, only the gain tells.
    """
    compared: dict[str, list[Group]] = {key: [] for key in partners}
    for group in sorted(every, key=lambda group: group.procs):
        if found[group.first.record_id].gain:
            compared[frozen(comparison_keys(group.first))].append(group)
    slowed: dict[str, Ratio] = {}
    for key, together in compared.items():
        signs = [_impossible(group.procs, found[group.first.record_id]) for group in together]
        if shown := ", ".join(filter(None, signs)):
            name = partners[key].first.cell_name
            reason = f"something slowed the one-process run ({name}): {shown}, which is impossible"
            runs = [m.record_id for group in together for m in group.measurements]
            slowed |= {run: replace(found[run], slowed=shown, reason=reason) for run in runs}
    return slowed


def _impossible(count: int, ratio: Ratio) -> str:
    """Say what of a cell's ratio or gain cannot be; empty if all can."""
    if count == 1 or ratio.gain is None or ratio.overall is None:
        return ""
    if is_impossible(count, ratio.gain):
        return f"{count} do {ratio.gain.value:.2f} times what one does"
    overall = ratio.overall
    if overall.value < TOO_FAST and (overall.interval is None or overall.interval[1] < 1):
        return f"each of {count} takes {overall.value:.2f} times as long as one alone"
    return ""


def is_impossible(count: int, gain: Estimate) -> bool:
    """Tell whether so many processes do more than as many times one; then something slowed the one.

    The whole interval must say so, where there is one: else it may be noise.
    """
    return seems_impossible(count, gain) and (gain.interval is None or gain.interval[0] > count)


def seems_impossible(count: int, gain: Estimate) -> bool:
    """Tell the same of the value alone."""
    return gain.value > count / TOO_FAST


def _not_compared(m: Measurement) -> str:
    if not m.is_ordinary:
        return "a run with a fault"
    return _TWIN if m.cell.is_twin else f"the run is {m.verdict.status.value}"


def groups(measurements: Sequence[Measurement]) -> list[Group]:
    """Group the VALID ordinary runs by cell; cells in the order of their first run."""
    by_cell: dict[tuple[str, int], list[Measurement]] = defaultdict(list)
    for m in measurements:
        if m.tells_of_its_cell:
            by_cell[frozen(comparison_keys(m)), m.cell.procs].append(m)
    return [Group.of(repeats) for repeats in by_cell.values()]


def output_refusal(group: Group, partner: Group) -> str:
    """Say in what the outputs of two cells differ; empty if they agree."""
    difference = worst_difference(partner.measurements, group.measurements)
    if difference is None or difference.within_tolerance:
        return ""
    return f"output ({difference_text(difference)})"


def _ratios(group: Group, partner: Group) -> dict[str, Ratio]:
    if difference := output_refusal(group, partner):
        return _refused(group, f"{_REFUSED}{difference}")
    overall, gain = (compare(group, partner, figure) for figure in (pace, throughput))
    if group is partner:
        overall, gain = (
            replace(each, interval=None, half_width=None, why="one process is the reference")
            for each in (overall, gain)
        )
    in_block = {} if group is partner else dict(paired(group, partner))

    def of_run(place: int, ours: Sequence[float], theirs: Sequence[float]) -> float:
        return ours[place] / (theirs[in_block[place]] if place in in_block else statistics.median(theirs))

    return {
        m.record_id: Ratio(
            value=of_run(place, group.paces_s, partner.paces_s),
            run_gain=of_run(place, group.throughputs_per_s, partner.throughputs_per_s),
            partner_ids=tuple(each.record_id for each in partner.measurements),
            repeats=len(group),
            overall=overall,
            gain=gain,
        )
        for place, m in enumerate(group.measurements)
    }


def _refused(group: Group, reason: str) -> dict[str, Ratio]:
    return {m.record_id: Ratio(value=None, reason=reason, repeats=len(group)) for m in group.measurements}


def _no_partner(group: Group, ones: Sequence[Group]) -> str:
    """Say why none of the one-process runs will do, with the names of what differs in the nearest one."""
    cell, own = group.first.cell, comparison_keys(group.first)
    found = sorted(
        (len(differing), one.first.record_id, differing)
        for one in ones
        if (one.first.cell.mps, one.first.cell.times) == (cell.mps, cell.times)
        and (differing := differing_keys(own, comparison_keys(one.first)))
    )
    if not found:
        return f"no VALID one-process run with mps={cell.mps} times={cell.times}"
    return _REFUSED + ", ".join(found[0][2])
