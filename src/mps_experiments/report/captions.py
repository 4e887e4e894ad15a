"""Write the lines below a table: what is missing and why, what to read its numbers with; pure."""

from collections import Counter
from collections.abc import Iterator, Sequence

from mps_experiments.analysis.comparison import Ratio, groups
from mps_experiments.analysis.estimates import interval_name
from mps_experiments.record.findings import NOISE, Finding, Severity
from mps_experiments.record.measurement import Measurement
from mps_experiments.record.verdict import Status

_ONE_BLOCK = "one block: an interval covers what happened within a run, not between runs"


def warnings_of(measurement: Measurement) -> list[Finding]:
    """List what to know of a VALID run's numbers; empty for any other run, which has no numbers.

    Noise is none of it: it is in the intervals, and told once for all runs (`noise`).
    """
    if not measurement.verdict.is_valid:
        return []
    found = measurement.findings
    return [each for each in found if each.severity is Severity.WARNING and each.check not in NOISE]


def caption_lines(cells: Sequence[Measurement], by_ratio: dict[str, Ratio], told: bool = False) -> list[str]:
    """Return the lines below the table of these cells; what repeats have in common is said once.

    Args:
        cells: The runs of the table.
        by_ratio: Record id -> what is told of its ratio.
        told: Leave out runs without a number: each one's own line said why.
    """
    with_lines = [m for m in cells if not told or m.verdict.is_valid]
    lines = [line for m in with_lines for line in _about(m, by_ratio[m.record_id])]
    return list(dict.fromkeys([*lines, *warning_lines(cells), *_spread(cells, by_ratio)]))


def _about(m: Measurement, ratio: Ratio) -> Iterator[str]:
    if m.verdict.status is Status.SKIPPED:
        yield f"SKIPPED: {m.verdict.reason}"  # said once: the table shows of which cells
    elif not m.verdict.is_valid:
        yield f"{m.name}: {m.verdict.status.value}: {m.verdict.reason}"
    elif ratio.slowed:
        yield f"no gain, no ratio: {ratio.reason}"  # said once: the same for all of an arm
    elif ratio.value is None and (m.cell.procs > 1 or ratio.repeats > 1):
        yield f"{m.cell_name}: no ratio: {ratio.reason}"
    if m.contended and not m.findings:  # records of version 1 have no findings
        yield f"{m.name}: contended: {'; '.join(m.contended)}"


def warning_lines(measurements: Sequence[Measurement]) -> Iterator[str]:
    """Yield each check that warned of VALID runs once: in how many, with the text of the first."""
    found = [(m, finding) for m in measurements for finding in warnings_of(m)]
    for check in dict.fromkeys(finding.check for _, finding in found):
        same = [(m, finding.text) for m, finding in found if finding.check == check]
        count = len({m.record_id for m, _ in same})
        example, text = same[0]
        among = f"{count} of {len(measurements)} runs, for example in " if count > 1 else ""
        yield f"warning: {check} in {among}{example.name}: {text}"


def _spread(cells: Sequence[Measurement], by_ratio: dict[str, Ratio]) -> Iterator[str]:
    """Say what is known of the spread, and what is not."""
    repeated = groups(cells)
    if not repeated:
        return
    if all(len(group) == 1 for group in repeated):
        yield _ONE_BLOCK
        return
    counts = sorted({len(group) for group in repeated} - {1})
    yield f"median (lowest to highest) of {' or '.join(map(str, counts))} blocks"
    several = [group for group in repeated if group.first.cell.procs > 1]
    gains = [(group, gain) for group in several if (gain := by_ratio[group.first.record_id].gain)]
    reasons = Counter(gain.why for _, gain in gains)
    if not reasons:
        return
    usual = reasons.most_common(1)[0][0]
    rough = all(gain.rough for _, gain in gains if gain.why == usual)
    yield f"ratio, gain [{interval_name(rough)}]: {usual}"
    yield from (f"{group.first.cell_name}: {gain.why}" for group, gain in gains if gain.why != usual)
