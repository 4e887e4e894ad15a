"""Write all that is said at the end of a sweep, as text; pure."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mps_experiments.analysis.comparison import Ratio, groups, ratios
from mps_experiments.analysis.explanation import Explanation, explain, explanations
from mps_experiments.analysis.noise import noise_line
from mps_experiments.analysis.repeats import Group, paired
from mps_experiments.analysis.short_windows import short_window_line
from mps_experiments.record.measurement import Measurement
from mps_experiments.report.cells import cost_tables
from mps_experiments.report.tables import TEXT_WIDTH, as_text, table_text


@dataclass(frozen=True, kw_only=True)
class CellCause:
    """Why a cell with several workers takes longer than one.

    Attributes:
        many: The run that is explained: of several blocks the one whose ratio is nearest to that of the cell.
        one: The one-process run that it is compared with; None if there is none.
        repeats: How many repeats, each with its own one-process run, have which cause.
    """

    group: Group
    many: Measurement
    one: Measurement | None
    explanation: Explanation
    repeats: Counter[str]

    @property
    def line(self) -> str:
        """Return all of it in words, with the repeats that are compared where there are several."""
        return f"{self.group.first.cell_name}{self._compared}: {self.explanation.text}{self._disagreement}"

    @property
    def _compared(self) -> str:
        if len(self.group) == 1 or self.one is None:
            return ""
        repeat, other = self.many.cell.repeat, self.one.cell.repeat
        against = "" if repeat == other else f" against repeat={other} of one process"
        return f" (repeat={repeat}{against})"

    @property
    def _disagreement(self) -> str:
        if len(self.repeats) < 2:
            return ""
        each = ", ".join(f"{cause} in {count}" for cause, count in self.repeats.most_common())
        return f" The repeats do not agree: {each} of {self.repeats.total()}."


def causes(measurements: Sequence[Measurement]) -> list[CellCause]:
    """Explain each cell with several workers, in the order of their first runs."""
    by_ratio, by_id = ratios(measurements), {m.record_id: m for m in measurements}
    by_repeat = explanations(measurements, by_ratio)
    found = []
    for group in groups(measurements):
        ones = [by_id[each] for each in by_ratio[group.first.record_id].partner_ids if each in by_id]
        many, one = _nearest(group, Group.of(ones) if ones else None, by_ratio)
        if (explanation := explain(many, one)) is not None:
            repeats = Counter(by_repeat[m.record_id].cause.value for m in group.measurements)
            found.append(CellCause(group=group, many=many, one=one, explanation=explanation, repeats=repeats))
    return found


def why_lines(measurements: Sequence[Measurement]) -> list[str]:
    """Say for each cell with several workers why it takes longer than one."""
    return [cause.line for cause in causes(measurements)]


def _nearest(
    group: Group, partner: Group | None, by_ratio: Mapping[str, Ratio]
) -> tuple[Measurement, Measurement | None]:
    """Return the run whose ratio is nearest to that of its cell, and the one-process run of its block.

    Where no run of the cell shares a block with one, those of the same repeat stand for it, else the first.
    """
    overall = by_ratio[group.first.record_id].overall
    if partner is None or overall is None:
        return group.first, None
    ones = dict(paired(group, partner)) or _same_repeat(group, partner) or dict.fromkeys(range(len(group)), 0)
    ratio = {place: group.paces_s[place] / partner.paces_s[one] for place, one in ones.items()}
    place = min(ones, key=lambda each: round(abs(math.log(ratio[each] / overall.value)), 9))
    return group.measurements[place], partner.measurements[ones[place]]


def _same_repeat(group: Group, partner: Group) -> dict[int, int]:
    """Return the position of each run that has one of its repeat among the others -> the first such."""
    repeats = [m.cell.repeat for m in partner.measurements]
    places = enumerate(m.cell.repeat for m in group.measurements)
    return {place: repeats.index(repeat) for place, repeat in places if repeat in repeats}


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
    costs = as_text(cost_tables(measurements), width)
    return table_text(measurements, width) + costs + remarks + (f"WHY\n{why}" if why else "")
