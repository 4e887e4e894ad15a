"""The two tables of a replay: the numbers of both sides, and what differs around them; pure."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from mps_experiments.analysis.metrics import BY_NAME
from mps_experiments.analysis.numbers import seconds
from mps_experiments.analysis.repeats import Group
from mps_experiments.record.measurement import Measurement
from mps_experiments.record.verdict import Status
from mps_experiments.sweep.replay.comparison import Compared, survived

_LATENCIES = (BY_NAME["latency/p50_ms"], BY_NAME["latency/p99_ms"])


def number_table(cells: Sequence[Compared]) -> Table:
    """Return a line for each cell: throughput, its change with the interval, latency."""
    columns = ("run", "stored /s", "now /s", "now / stored", *(each.heading for each in _LATENCIES))
    return _table("STORED AGAINST NOW", columns, [_line(cell) for cell in cells])


def circumstance_table(rows: Sequence[tuple[str, str, str]]) -> Table:
    """Return what differs around the runs."""
    return _table("WHAT ELSE DIFFERS", ("what", "stored", "now"), rows)


def _table(title: str, columns: Sequence[str], lines: Sequence[Sequence[str]]) -> Table:
    made = Table(*columns, title=title, title_justify="left")
    for line in lines:
        made.add_row(*map(Text, line))  # as it stands: a text of a record may look like markup
    return made


def _line(cell: Compared) -> list[str]:
    if not cell.stored[0].is_ordinary:
        finished = ["{} of {}".format(*survived(side)) for side in (cell.stored, cell.now)]
        return [f"{cell.label}: all others finished", *finished]
    then, here = _figures(cell.stored), _figures(cell.now)
    latencies = (f"{one or '-'} → {two or '-'}" for one, two in zip(then[1:], here[1:], strict=True))
    return [cell.label, then[0], here[0], cell.change.text if cell.change else "-", *latencies]


def _figures(runs: Sequence[Measurement]) -> list[str]:
    """Return throughput, or why there is none, and percentiles."""
    valid = [m for m in runs if m.verdict.status is Status.VALID]
    if not valid:
        return [runs[0].verdict.status.value if runs else "-", *("" for _ in _LATENCIES)]
    group = Group.of(valid)
    return [seconds(group.throughput_median_per_s), *(each.shown(group) for each in _LATENCIES)]
