"""The two tables people came for: MPS off and on, times x procs, seconds per process and ratio."""

from collections.abc import Iterator, Sequence
from io import StringIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mps_experiments.measurement.verdict import Status
from mps_experiments.record import Measurement
from mps_experiments.report.comparison import Ratio, ratios, table_key
from mps_experiments.report.numbers import seconds

_TEXT_WIDTH = 1000  # characters; wide enough that nothing is wrapped or cut
_MAX_LISTED = 4  # per-process times shown one by one up to this many, then as a range


def tables(measurements: Sequence[Measurement]) -> Iterator[Table]:
    """One table per MPS state for each workload and setting that the sweep held, OFF before ON."""
    by_ratio = ratios(measurements)
    groups: dict[object, list[Measurement]] = {}
    for measurement in measurements:
        groups.setdefault(table_key(measurement), []).append(measurement)
    for group in groups.values():
        for state in ("off", "on"):
            if cells := [m for m in group if m.cell.mps == state]:
                yield _table(state, cells, by_ratio)


def table_text(measurements: Sequence[Measurement]) -> str:
    """The same tables as plain text."""
    file = StringIO()
    console = Console(file=file, width=_TEXT_WIDTH, force_terminal=False)
    for table in tables(measurements):
        console.print(table)
    return file.getvalue()


def _table(state: str, cells: Sequence[Measurement], by_ratio: dict[str, Ratio]) -> Table:
    procs = sorted({m.cell.procs for m in cells})
    table = Table(
        title=_verbatim(_title(state, cells[0])),
        title_justify="left",
        caption=_caption(cells, by_ratio),
        caption_justify="left",
    )
    table.add_column("times", justify="right")
    for count in procs:
        table.add_column(f"{count} proc" + ("s" if count > 1 else ""), justify="right")
        if count > 1:
            table.add_column("ratio", justify="right")
    for times in sorted({m.cell.times for m in cells}):
        row = [str(times)]
        for count in procs:
            here = [m for m in cells if (m.cell.times, m.cell.procs) == (times, count)]
            row.append("\n".join(_seconds(m) for m in here) or "-")
            if count > 1:
                row.append("\n".join(_ratio_text(by_ratio[m.record_id]) for m in here) or "-")
        table.add_row(*row)
    return table


def _title(state: str, first: Measurement) -> str:
    """The heading; what else a sweep varied follows procs and times in a cell's name."""
    varied = first.name.partition(f" times={first.cell.times}")[2].strip()
    parts = [f"MPS {state.upper()}", first.cell.model, *([varied] if varied else []), "seconds per process"]
    return " · ".join(parts)


def _seconds(measurement: Measurement) -> str:
    figures = measurement.statistics()
    if figures is None:
        return measurement.verdict.status.value
    elapsed = figures.elapsed_s
    if len(elapsed) <= _MAX_LISTED:
        return ", ".join(map(seconds, elapsed))
    return f"{seconds(min(elapsed))} to {seconds(max(elapsed))}"


def _ratio_text(ratio: Ratio) -> str:
    return "-" if ratio.value is None else f"{ratio.value:.2f}"


def _caption(cells: Sequence[Measurement], by_ratio: dict[str, Ratio]) -> Text | None:
    """What is missing, and why."""
    lines = []
    for m in cells:
        if m.verdict.status is not Status.VALID:
            lines.append(f"{m.name}: {m.verdict.status.value}: {m.verdict.reason}")
        elif m.cell.procs > 1 and by_ratio[m.record_id].value is None:
            lines.append(f"{m.name}: no ratio: {by_ratio[m.record_id].reason}")
        if m.contended:
            lines.append(f"{m.name}: contended: {'; '.join(m.contended)}")
    return _verbatim("\n".join(lines)) if lines else None


def _verbatim(text: str) -> Text:
    """Text that is not read as markup and not folded to the width of the table."""
    return Text(text, no_wrap=True, overflow="ignore")
