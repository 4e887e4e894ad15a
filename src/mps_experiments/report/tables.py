"""Make the two tables people came for: MPS off and on, times x procs, times, ratio and gain."""

import statistics
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO

from rich.console import Console
from rich.table import Table as RichTable

from mps_experiments.analysis.comparison import Ratio, groups, ratios
from mps_experiments.analysis.estimates import Estimate
from mps_experiments.analysis.keys import shared_settings, table_key
from mps_experiments.analysis.numbers import milliseconds, seconds
from mps_experiments.analysis.repeats import Group
from mps_experiments.record.axes import EXTRA_FACTORS, varied_factors
from mps_experiments.record.cell import Times, times_order
from mps_experiments.record.measurement import Measurement
from mps_experiments.record.verdict import Status
from mps_experiments.report.captions import caption_lines
from mps_experiments.report.content import Table
from mps_experiments.report.fault_tables import fault_tables

TEXT_WIDTH = 1000  # characters; wide enough that nothing is wrapped or cut
Entry = tuple[str, str, str]
_COLUMNS = 3  # of an entry; one process has only the first
_MAX_LISTED = 4  # per-process times shown one by one up to this many, then as a range


def tables(measurements: Sequence[Measurement], told: bool = False) -> Iterator[RichTable]:
    """Yield a table per MPS state for each workload and setting that the sweep held, OFF before ON.

    Args:
        measurements: The runs.
        told: Leave out why runs have no number: each one's own line said it.
    """
    by_ratio = {record_id: ratio.told for record_id, ratio in ratios(measurements).items()}
    by_table: dict[object, list[Measurement]] = {}
    for measurement in filter(lambda m: m.is_ordinary, measurements):
        by_table.setdefault(table_key(measurement), []).append(measurement)
    for together in by_table.values():
        for state in ("off", "on"):
            if cells := [m for m in together if m.cell.mps == state]:
                yield _table(state, cells, by_ratio, told).rich()


def table_text(measurements: Sequence[Measurement], width: int = TEXT_WIDTH) -> str:
    """Return the same tables as plain text, in lines of `width` characters but for titles and captions."""
    return as_text((*tables(measurements), *fault_tables(measurements)), width)


def as_text(found: Iterable[RichTable], width: int) -> str:
    """Return tables as plain text, in lines of `width` characters but for titles and captions."""
    file = StringIO()
    console = Console(file=file, width=width, force_terminal=False)
    for table in found:
        console.print(table, crop=False)
    return file.getvalue()


def _table(state: str, cells: Sequence[Measurement], by_ratio: dict[str, Ratio], told: bool) -> Table:
    procs = sorted({m.cell.procs for m in cells})
    extras = varied_factors([m.cell.axes for m in cells])
    header = [*(axis.label for axis in extras), "times"]
    for count in procs:
        header += [f"{count} procs", "ratio", "gain"] if count > 1 else ["1 proc"]
    places = {(m.cell.extras, m.cell.times) for m in cells}
    rows = []
    for values, times in sorted(places, key=lambda place: (place[0], times_order(place[1]))):
        named = dict(zip(EXTRA_FACTORS, values, strict=True))
        row = [*(str(named[axis]) for axis in extras), _times_text(times, cells)]
        for count in procs:
            cell = (values, times, count)
            here = [m for m in cells if (m.cell.extras, m.cell.times, m.cell.procs) == cell]
            entries = [*_numbers(here, by_ratio), *_verdicts(here)]
            columns = list(zip(*entries, strict=True)) or [("-",)] * _COLUMNS
            row += ["\n".join(column) for column in columns[: _COLUMNS if count > 1 else 1]]
        rows.append(tuple(row))
    return Table(
        title=_title(state, cells),
        header=tuple(header),
        rows=tuple(rows),
        notes=tuple(caption_lines(cells, by_ratio, told)),
    )


def _title(state: str, cells: Sequence[Measurement]) -> str:
    """Return the heading, with what else the sweep varied and all cells of this table share."""
    parts = (f"MPS {state.upper()}", cells[0].cell.model, shared_settings(cells), _unit(cells))
    return " · ".join(filter(None, parts))


def _unit(cells: Sequence[Measurement]) -> str:
    """Name what the times are of: each process of a single run, or the whole of a run with repeats."""
    if _is_timed(cells[0]):
        each, whole = "ms per iteration of each process", "ms per iteration of the slowest process"
    else:
        each, whole = "seconds per process", "makespan in seconds"
    found = groups(cells)
    single = any(len(group) == 1 and group.first.cell.procs > 1 for group in found)
    if all(len(group) == 1 for group in found):
        return each
    return f"{whole}; of a single run {each}" if single else whole


def _is_timed(m: Measurement) -> bool:
    """Tell whether the window has a given length, which says nothing of how fast the run was."""
    return m.cell.times == "auto"


def _times_text(times: Times, cells: Sequence[Measurement]) -> str:
    return f"auto ({cells[0].cell.window_s:g} s)" if times == "auto" else str(times)


def _numbers(cells: Sequence[Measurement], by_ratio: dict[str, Ratio]) -> Iterator[Entry]:
    """Yield time, ratio and gain of each group of VALID repeats."""
    for group in groups(cells):
        ratio = by_ratio[group.first.record_id]
        yield _time(group), _estimate(ratio.overall), _estimate(ratio.gain)


def _verdicts(cells: Sequence[Measurement]) -> Iterator[Entry]:
    """Yield what stands for the runs that have no numbers."""
    for status in (Status.INVALID, Status.SKIPPED):
        count = sum(m.verdict.status is status for m in cells)
        if count:
            yield status.value + (f" ({count} runs)" if count > 1 else ""), "-", "-"


def _time(group: Group) -> str:
    """Return each process's time of a single run, or the median and the range of repeats."""
    timed = _is_timed(group.first)
    shown = milliseconds if timed else seconds
    values = group.paces_s if timed else group.makespans_s
    if len(group) > 1:
        return f"{shown(statistics.median(values))} ({shown(min(values))} to {shown(max(values))})"
    figures = group.figures[0]
    each = [1 / rate for rate in figures.rates_per_s] if timed else figures.elapsed_s
    if len(each) <= _MAX_LISTED:
        return ", ".join(map(shown, each))
    return f"{shown(min(each))} to {shown(max(each))}"


def _estimate(estimate: Estimate | None) -> str:
    return estimate.text if estimate else "-"
