"""All that is said at the end of a sweep, as text; pure."""

from collections import Counter
from collections.abc import Sequence

from mps_experiments.record import Measurement
from mps_experiments.report.captions import cell_name
from mps_experiments.report.comparison import groups, ratios
from mps_experiments.report.explanation import explain, explanations
from mps_experiments.report.repeats import Group
from mps_experiments.report.tables import table_text


def why_lines(measurements: Sequence[Measurement]) -> list[str]:
    """For each cell with several workers why it takes longer than one.

    Of repeats the middle ones are compared, so that the text has the ratio that the table has. An even number
    of repeats has no middle one: then the line names those that are compared.
    """
    by_ratio, by_id = ratios(measurements), {m.record_id: m for m in measurements}
    by_repeat = explanations(measurements, by_ratio)
    lines = []
    for group in groups(measurements):
        partner_ids = by_ratio[group.first.record_id].partner_ids
        ones = [by_id[partner] for partner in partner_ids if partner in by_id]
        partner = Group.of(ones) if ones else None
        found = explain(_middle(group), _middle(partner) if partner else None)
        if found is not None:
            causes = Counter(by_repeat[m.record_id].cause.value for m in group.measurements)
            name = f"{cell_name(group.first)}{_compared(group, partner)}"
            lines.append(f"{name}: {found.text}{_disagreement(causes)}")
    return lines


def _compared(group: Group, partner: Group | None) -> str:
    """Which repeats are compared, where that matters."""
    if partner is None or all(len(each) % 2 for each in (group, partner)):
        return ""
    many, one = (_middle(each).cell.repeat for each in (group, partner))
    return f" (repeat={many} against repeat={one} of one process)"


def _disagreement(causes: Counter[str]) -> str:
    """A sentence where the repeats, each with its own one-process run, have not all the same cause."""
    if len(causes) < 2:
        return ""
    each = ", ".join(f"{cause} in {count}" for cause, count in causes.most_common())
    return f" The repeats do not agree: {each} of {causes.total()}."


def _middle(group: Group) -> Measurement:
    """The run whose makespan is nearest to the median; the earlier repeat of two."""
    runs = zip(group.makespans_s, group.measurements, strict=True)
    return min(runs, key=lambda run: (round(abs(run[0] - group.median_s), 9), run[1].cell.repeat))[1]


def summary_text(measurements: Sequence[Measurement]) -> str:
    """Tables and causes as plain text."""
    why = "".join(f"{line}\n" for line in why_lines(measurements))
    return table_text(measurements) + (f"WHY\n{why}" if why else "")
