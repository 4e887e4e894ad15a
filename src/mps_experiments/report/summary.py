"""Write all that is said at the end of a sweep, as text; pure."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from mps_experiments.analysis.comparison import Ratio, groups, ratios
from mps_experiments.analysis.explanation import explain, explanations
from mps_experiments.analysis.noise import noise_line
from mps_experiments.analysis.repeats import Group, paired
from mps_experiments.analysis.short_windows import short_window_line
from mps_experiments.record.measurement import Measurement
from mps_experiments.report.tables import TEXT_WIDTH, table_text


def why_lines(measurements: Sequence[Measurement]) -> list[str]:
    """Say for each cell with several workers why it takes longer than one.

    Of several blocks the one is compared whose ratio is nearest to that of the table, and named.
    """
    by_ratio, by_id = ratios(measurements), {m.record_id: m for m in measurements}
    by_repeat = explanations(measurements, by_ratio)
    lines = []
    for group in groups(measurements):
        partner_ids = by_ratio[group.first.record_id].partner_ids
        ones = [by_id[partner] for partner in partner_ids if partner in by_id]
        partner = Group.of(ones) if ones else None
        many, one = _nearest(group, partner, by_ratio)
        found = explain(many, one)
        if found is not None:
            causes = Counter(by_repeat[m.record_id].cause.value for m in group.measurements)
            name = f"{group.first.cell_name}{_compared(group, many, one)}"
            lines.append(f"{name}: {found.text}{_disagreement(causes)}")
    return lines


def _nearest(
    group: Group, partner: Group | None, by_ratio: Mapping[str, Ratio]
) -> tuple[Measurement, Measurement | None]:
    """Return the run whose ratio is nearest to that of its cell, and the one-process run of its block."""
    overall = by_ratio[group.first.record_id].overall
    if partner is None or overall is None:
        return group.first, None
    in_block = dict(paired(group, partner))
    places = in_block or range(len(group))
    place = min(places, key=lambda each: round(_distance(group, each, by_ratio, overall.value), 9))
    return group.measurements[place], partner.measurements[in_block.get(place, 0)]


def _distance(group: Group, place: int, by_ratio: Mapping[str, Ratio], overall: float) -> float:
    value = by_ratio[group.measurements[place].record_id].value
    return math.inf if value is None else abs(math.log(value / overall))


def _compared(group: Group, many: Measurement, one: Measurement | None) -> str:
    """Name the repeats that are compared, where there are several."""
    if len(group) == 1 or one is None:
        return ""
    if many.cell.repeat == one.cell.repeat:
        return f" (repeat={many.cell.repeat})"
    return f" (repeat={many.cell.repeat} against repeat={one.cell.repeat} of one process)"


def _disagreement(causes: Counter[str]) -> str:
    """Return a sentence where the repeats, each with its own one-process run, differ in their cause."""
    if len(causes) < 2:
        return ""
    each = ", ".join(f"{cause} in {count}" for cause, count in causes.most_common())
    return f" The repeats do not agree: {each} of {causes.total()}."


def remark_lines(measurements: Sequence[Measurement]) -> list[str]:
    """Return what is said once for all runs: their noise, and what their windows are too short for."""
    lines = [noise_line(measurements), short_window_line(groups(measurements))]
    return [line for line in lines if line]


def closing_lines(measurements: Sequence[Measurement]) -> list[str]:
    """Return all lines after the tables."""
    return [*remark_lines(measurements), *why_lines(measurements)]


def summary_text(measurements: Sequence[Measurement], width: int = TEXT_WIDTH) -> str:
    """Return tables of this width, remarks and causes as plain text."""
    remarks = "".join(f"{line}\n" for line in remark_lines(measurements))
    why = "".join(f"{line}\n" for line in why_lines(measurements))
    return table_text(measurements, width) + remarks + (f"WHY\n{why}" if why else "")
