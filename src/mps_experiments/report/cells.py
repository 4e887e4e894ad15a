"""Show one row for each cell: in the table of the page, and exported; pure."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.table import Table as RichTable

from mps_experiments.analysis.choice import energy_per_item_j, memory_gib
from mps_experiments.analysis.comparison import Ratio
from mps_experiments.analysis.estimates import ENOUGH_BLOCKS, interval_name
from mps_experiments.analysis.machines import Machines
from mps_experiments.analysis.metrics import BY_NAME, METRICS, SHOWN
from mps_experiments.analysis.panels import ARMS, Panel, panels
from mps_experiments.analysis.repeats import Group
from mps_experiments.analysis.runs import ReportRun
from mps_experiments.analysis.short_windows import short_window_line
from mps_experiments.record.axes import FACTORS, varied_factors
from mps_experiments.record.cell import Cell, times_order
from mps_experiments.record.measurement import Measurement
from mps_experiments.record.verdict import Status
from mps_experiments.report.content import Table

_DIGITS, _MOST_DIGITS, _MOST_DECIMALS = 3, 4, 4
_NOTE = (
    "percentiles over all processes and blocks; empty: not known. "
    f"In brackets: interval, of 95 % from {ENOUGH_BLOCKS} blocks on, rough below."
)
_THROUGHPUT, _MAKESPAN = BY_NAME["throughput_per_s"], BY_NAME["makespan_s"]
_LAST_PERCENTILE = BY_NAME["latency/p99_ms"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Row:
    """One cell of a panel.

    Attributes:
        runs: All runs with its coordinates, whatever their verdict.
        group: Its VALID repeats; None if there are none.
    """

    panel: Panel
    runs: tuple[Measurement, ...]
    group: Group | None = None

    @property
    def cell(self) -> Cell:
        return self.runs[0].cell

    @property
    def id(self) -> str:
        """Return the record id of its first VALID run; empty without one."""
        return self.group.first.record_id if self.group else ""

    @property
    def ratio(self) -> Ratio:
        """Return what is told of its ratio and gain."""
        return self.panel.ratio(self.group).told if self.group else Ratio(value=None)

    def count(self, status: Status) -> int:
        """Count its runs with this verdict."""
        return sum(m.verdict.status is status for m in self.runs)


def cell_rows(panel: Panel) -> list[Row]:
    """Return a row for each cell, off before on; what may not be compared is a row each."""
    runs: dict[tuple[object, ...], list[Measurement]] = {}
    groups: dict[tuple[object, ...], list[Group]] = {}
    for m in panel.measurements:
        if not m.cell.is_twin:
            runs.setdefault(_order(m.cell), []).append(m)
    for group in panel.groups:
        groups.setdefault(_order(group.first.cell), []).append(group)
    return [
        Row(panel=panel, runs=tuple(runs[place]), group=group)
        for place in sorted(runs)
        for group in groups.get(place, [None])
    ]


def _told_rows(panel: Panel) -> tuple[list[Row], list[str]]:
    """Return the rows, on the CPU without those of SKIPPED runs alone, and how many these were and why."""
    rows = cell_rows(panel)
    skipped = [row for row in rows if row.count(Status.SKIPPED) == len(row.runs)]
    if panel.on_gpu or len(skipped) == len(rows):
        return rows, []
    reasons = Counter(row.runs[0].verdict.reason for row in skipped)
    lines = [
        f"Left out: {number} cell{'s' * (number > 1)}, SKIPPED: {why}." for why, number in reasons.items()
    ]
    return [row for row in rows if row not in skipped], lines


def _order(cell: Cell) -> tuple[object, ...]:
    return cell.extras, times_order(cell.times), ARMS.index(cell.mps), cell.procs


def cell_name(cell: Cell, on_gpu: bool) -> str:
    """Name a cell where there is little room; its other factors have columns of their own."""
    return f"{cell.procs} · MPS {cell.mps}" if on_gpu or cell.mps == "on" else str(cell.procs)


def cell_table(panel: Panel, roles: Mapping[str, str]) -> Table:
    """Return the table of a panel: every figure that some cell has.

    Args:
        panel: What is shown.
        roles: Record id of a cell's first VALID run -> what the decision calls the cell.
    """
    rows, left_out = _told_rows(panel)
    header, columns = ["processes"], [[_named(row, roles) for row in rows]]
    for heading, texts in _columns(panel, rows):
        if any(texts):
            header.append(heading)
            columns.append(texts)
    groups = [row.group for row in rows if row.group]
    notes = ["No VALID run: no number.", *left_out]
    if groups:
        blocks = max(map(len, groups))
        over = f"Medians over up to {blocks} blocks" if blocks > 1 else "One block"
        notes = [f"{over}; {_NOTE}", *left_out, *_slowed(rows), *filter(None, [short_window_line(groups)])]
    return Table(
        title=panel.title,
        header=tuple(header),
        rows=tuple(zip(*columns, strict=True)),
        notes=tuple(notes),
    )


def _slowed(rows: Sequence[Row]) -> Iterator[str]:
    """Say once for each one-process run that something slowed why no gain over it is told."""
    reasons = dict.fromkeys(row.ratio.reason for row in rows if row.ratio.slowed)
    yield from (f"No gain, no ratio: {reason}." for reason in reasons)


def cost_tables(measurements: Sequence[Measurement]) -> Iterator[RichTable]:
    """Yield for the terminal what each cell costs, a table for each setting: at most 80 columns."""
    found = panels(tuple(ReportRun.of(m) for m in measurements))
    strata = [stratum for panel in found for stratum in panel.strata]
    yield from (_cost_table(stratum).rich() for stratum in strata if stratum.groups)


def _cost_table(panel: Panel) -> Table:
    rows, _ = _told_rows(panel)
    wanted = [
        ("times", [str(row.cell.times) for row in rows] if len({row.cell.times for row in rows}) > 1 else []),
        (f"{panel.first.cell.item}s/s", _numbers(rows, _THROUGHPUT.of)),
        *((f"p{n} ms", _numbers(rows, BY_NAME[f"latency/p{n}_ms"].of)) for n in (50, 99)),
        ("memory GiB", _numbers(rows, memory_gib)),
        (f"J per {panel.first.cell.item}", _numbers(rows, energy_per_item_j)),
    ]
    kept = [(name, texts) for name, texts in wanted if any(texts) or name == "p99 ms"]
    names = [cell_name(row.cell, panel.on_gpu) for row in rows]
    return Table(
        title=f"COSTS · {panel.title}",
        header=("cell", *(name for name, _ in kept)),
        rows=tuple(zip(names, *(texts for _, texts in kept), strict=True)),
    )


def _named(row: Row, roles: Mapping[str, str]) -> str:
    role = roles.get(row.id)
    return cell_name(row.cell, row.panel.on_gpu) + (f" ({role})" if role else "")


def _columns(panel: Panel, rows: Sequence[Row]) -> Iterator[tuple[str, list[str]]]:
    for axis in varied_factors([row.cell.axes for row in rows]):
        yield axis.label, [str(row.cell.axes[axis.name]) for row in rows]
    every_times = {row.cell.times for row in rows}
    if len(every_times) > 1:
        yield "iterations", [str(row.cell.times) for row in rows]
    item = panel.first.cell.item
    yield (
        f"{item}s/s",
        [text or _verdict(row) for row, text in zip(rows, _numbers(rows, _THROUGHPUT.of), strict=True)],
    )
    yield "gain", [row.ratio.gain.text if row.ratio.gain else "" for row in rows]
    yield "ratio", [row.ratio.overall.text if row.ratio.overall else "" for row in rows]
    for metric in SHOWN:
        # A window of a given length has that makespan.
        if metric is not _THROUGHPUT and not (metric is _MAKESPAN and every_times == {"auto"}):
            yield metric.heading.format(item=item), _numbers(rows, metric.of)
        if metric is _LAST_PERCENTILE:
            yield "memory GiB", _numbers(rows, memory_gib)


def _verdict(row: Row) -> str:
    counts = Counter(m.verdict.status.value for m in row.runs)
    return ", ".join(f"{status} ({count} runs)" if count > 1 else status for status, count in counts.items())


def _numbers(rows: Sequence[Row], of: Callable[[Group], float | None]) -> list[str]:
    """Write a column with as many decimals as its smallest number needs, its largest permitting."""
    values = [of(row.group) if row.group else None for row in rows]
    known = [abs(value) for value in values if value and math.isfinite(value)]
    decimals = 0
    if known:
        smallest, largest = (int(f"{each:.2e}".partition("e")[2]) for each in (min(known), max(known)))
        wanted = min(_DIGITS - 1 - smallest, _MOST_DIGITS - 1 - largest, _MOST_DECIMALS)
        decimals = max(wanted, _DIGITS - 1 - largest, 0)
    return ["" if v is None or not math.isfinite(v) else f"{v:,.{decimals}f}" for v in values]


def exported(
    found: Sequence[Panel], roles: Mapping[str, str], causes: Mapping[str, str]
) -> list[dict[str, str | float | None]]:
    """Return name -> value for each cell of these panels; a name that no cell has a value of is left out.

    Args:
        found: What is exported.
        roles: Record id of a cell's first VALID run -> what the decision calls the cell.
        causes: Likewise -> why its processes take longer than one.
    """
    rows = [row for panel in found for row in cell_rows(panel)]
    machines = Machines.of(m for row in rows for m in row.runs)
    exports = [_exported(row, machines, roles, causes) for row in rows]
    known = {name for row in exports for name, value in row.items() if value not in (None, "")}
    return [{name: value for name, value in row.items() if name in known} for row in exports]


def _exported(
    row: Row, machines: Machines, roles: Mapping[str, str], causes: Mapping[str, str]
) -> dict[str, str | float | None]:
    cell, machine = row.cell, row.runs[0].machine
    values: dict[str, str | float | None] = {
        "machine": machines.letter(row.runs[0]) if machines.are_several else "",
        "gpu": machine.gpu.name if machine.gpu else "",
        "gpu_uuid": machine.gpu.uuid if machine.gpu else "",
        "driver": machine.driver_version,
        "host": machine.hostname,
        "model": cell.model,
        "setting": row.panel.varied,
        **{axis.name: cell.axes[axis.name] for axis in FACTORS},
        "window_s": cell.window_s if cell.times == "auto" else None,
        **{f"{status.value.lower()}_runs": row.count(status) for status in Status},
        "decision": roles.get(row.id, ""),
        "cause": causes.get(row.id, ""),
    }
    for name, estimate in (("gain_mean", row.ratio.gain), ("ratio_mean", row.ratio.overall)):
        low, high = (estimate.interval if estimate else None) or (None, None)
        known = {name: estimate.value if estimate else None, f"{name}_low": low, f"{name}_high": high}
        values |= {key: _rounded(value) for key, value in known.items()}
    values["interval"] = interval_name(gain.rough) if (gain := row.ratio.gain) and gain.interval else ""
    for metric in METRICS:
        shown = metric.of(row.group) if row.group else None
        as_logged = None if shown is None else shown / metric.shown_factor
        values[metric.name.replace("/", "_")] = _rounded(as_logged)
    return values


def _rounded(value: float | None) -> float | None:
    """Keep seven digits, as MLflow gets them."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.7g}")
