"""All that is said at the end of a sweep, as text; pure."""

from collections.abc import Sequence

from mps_experiments.record import Measurement
from mps_experiments.report.captions import cell_name
from mps_experiments.report.comparison import groups, ratios
from mps_experiments.report.explanation import explanations
from mps_experiments.report.tables import table_text


def why_lines(measurements: Sequence[Measurement]) -> list[str]:
    """For each cell with several workers why it takes longer than one; of repeats the middle one."""
    partners = {record_id: ratio.partner_ids for record_id, ratio in ratios(measurements).items()}
    explained = explanations(measurements, partners)
    lines = []
    for group in groups(measurements):
        by_distance = sorted(
            zip(group.makespans_s, group.measurements, strict=True),
            key=lambda run: (abs(run[0] - group.median_s), run[1].cell.repeat),
        )
        found = next((explained[m.record_id] for _, m in by_distance if m.record_id in explained), None)
        if found is not None:
            lines.append(f"{cell_name(group.first)}: {found.text}")
    return lines


def summary_text(measurements: Sequence[Measurement]) -> str:
    """Tables and causes as plain text."""
    why = "".join(f"{line}\n" for line in why_lines(measurements))
    return table_text(measurements) + (f"WHY\n{why}" if why else "")
