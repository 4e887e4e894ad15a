"""The two tables people came for: MPS off and on, times x procs, seconds per process and ratio."""

import re
from collections.abc import Iterator, Sequence
from io import StringIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mps_experiments.measurement.verdict import Status
from mps_experiments.record import Measurement, times_order
from mps_experiments.report.captions import caption_lines
from mps_experiments.report.comparison import Ratio, groups, ratios
from mps_experiments.report.fault_tables import fault_tables
from mps_experiments.report.keys import table_key
from mps_experiments.report.numbers import seconds
from mps_experiments.report.repeats import Group

_TEXT_WIDTH = 1000  # characters; wide enough that nothing is wrapped or cut
_MAX_LISTED = 4  # per-process times shown one by one up to this many, then as a range


def tables(measurements: Sequence[Measurement]) -> Iterator[Table]:
    """One table per MPS state for each workload and setting that the sweep held, OFF before ON."""
    by_ratio = ratios(measurements)
    by_table: dict[object, list[Measurement]] = {}
    for measurement in filter(lambda m: m.is_ordinary, measurements):
        by_table.setdefault(table_key(measurement), []).append(measurement)
    for together in by_table.values():
        for state in ("off", "on"):
            if cells := [m for m in together if m.cell.mps == state]:
                yield _table(state, cells, by_ratio)


def table_text(measurements: Sequence[Measurement]) -> str:
    """The same tables as plain text."""
    file = StringIO()
    console = Console(file=file, width=_TEXT_WIDTH, force_terminal=False)
    for table in (*tables(measurements), *fault_tables(measurements)):
        console.print(table)
    return file.getvalue()


def _table(state: str, cells: Sequence[Measurement], by_ratio: dict[str, Ratio]) -> Table:
    procs = sorted({m.cell.procs for m in cells})
    below = caption_lines(cells, by_ratio)
    table = Table(
        title=_verbatim(_title(state, cells)),
        title_justify="left",
        caption=_verbatim("\n".join(below)) if below else None,
        caption_justify="left",
    )
    table.add_column("times", justify="right")
    for count in procs:
        table.add_column(f"{count} proc" + ("s" if count > 1 else ""), justify="right")
        if count > 1:
            table.add_column("ratio", justify="right")
    for times in sorted({m.cell.times for m in cells}, key=times_order):
        row = [str(times)]
        for count in procs:
            here = [m for m in cells if (m.cell.times, m.cell.procs) == (times, count)]
            entries = [*_numbers(here, by_ratio), *_verdicts(here)]
            row.append("\n".join(text for text, _ in entries) or "-")
            if count > 1:
                row.append("\n".join(ratio for _, ratio in entries) or "-")
        table.add_row(*row)
    return table


def _title(state: str, cells: Sequence[Measurement]) -> str:
    """The heading, with what else the sweep varied and all cells of this table share."""
    varied = [m.name.partition(f" times={m.cell.times}")[2].split() for m in cells]
    shared = [word for word in varied[0] if all(word in words for words in varied)]
    parts = [f"MPS {state.upper()}", cells[0].cell.model]
    parts += [text] if (text := " ".join(w for w in shared if not re.match(r"\+*repeat=", w))) else []
    return " · ".join([*parts, "seconds per process"])


def _numbers(cells: Sequence[Measurement], by_ratio: dict[str, Ratio]) -> Iterator[tuple[str, str]]:
    """Time and ratio of each group of VALID repeats."""
    for group in groups(cells):
        yield _seconds(group), _ratio_text(by_ratio[group.first.record_id])


def _verdicts(cells: Sequence[Measurement]) -> Iterator[tuple[str, str]]:
    """What stands for the runs that have no numbers."""
    for status in (Status.INVALID, Status.SKIPPED):
        count = sum(m.verdict.status is status for m in cells)
        if count:
            yield status.value + (f" ({count} runs)" if count > 1 else ""), "-"


def _seconds(group: Group) -> str:
    """Each process's time of a single run; of repeats the median makespan and its range."""
    if len(group) > 1:
        return f"{seconds(group.median_s)} ({seconds(group.low_s)} to {seconds(group.high_s)})"
    figures = group.first.statistics()
    elapsed = figures.elapsed_s if figures else ()
    if len(elapsed) <= _MAX_LISTED:
        return ", ".join(map(seconds, elapsed))
    return f"{seconds(min(elapsed))} to {seconds(max(elapsed))}"


def _ratio_text(ratio: Ratio) -> str:
    if ratio.median is None:
        return "-"
    interval = ratio.interval
    return f"{ratio.median:.2f}" + (f" [{interval[0]:.2f}, {interval[1]:.2f}]" if interval else "")


def _verbatim(text: str) -> Text:
    """Text that is not read as markup and not folded to the width of the table."""
    return Text(text, no_wrap=True, overflow="ignore")
