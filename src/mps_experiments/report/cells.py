"""One row for each cell: the table of the page, what is exported, machines side by side; pure."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mps_experiments.analysis.choice import memory_gib
from mps_experiments.analysis.estimates import ENOUGH_BLOCKS, Estimate, interval_name
from mps_experiments.analysis.machines import Machines, letter
from mps_experiments.analysis.metrics import BY_NAME, METRICS, SHOWN
from mps_experiments.analysis.numbers import rate, seconds
from mps_experiments.analysis.panels import ARMS, Panel
from mps_experiments.analysis.repeats import Group
from mps_experiments.analysis.short_windows import short_window_line
from mps_experiments.record.axes import FACTORS, factor_words, varied_factors
from mps_experiments.record.measurement import Cell, Measurement, Times, times_order
from mps_experiments.record.verdict import Status
from mps_experiments.report.content import Table

_Key = tuple[str, str, str, Times, int]  # model, what varies, mps, times, procs
_DIGITS, _MOST_DIGITS, _MOST_DECIMALS = 3, 5, 4
_THROUGHPUT, _MAKESPAN = BY_NAME["throughput_per_s"], BY_NAME["makespan_s"]
_LAST_PERCENTILE = BY_NAME["latency/p99_ms"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Row:
    """One cell of a panel.

    Attributes:
        runs: All of its runs, whatever their verdict.
        group: Its VALID repeats; None if there are none.
    """

    panel: Panel
    runs: tuple[Measurement, ...]
    group: Group | None

    @property
    def cell(self) -> Cell:
        return self.runs[0].cell

    @property
    def id(self) -> str:
        """Return the record id of its first VALID run; empty without one."""
        return self.group.first.record_id if self.group else ""

    @property
    def ratio(self) -> Estimate | None:
        return self.panel.ratio(self.group).overall if self.group else None

    @property
    def gain(self) -> Estimate | None:
        return self.panel.ratio(self.group).gain if self.group else None

    def count(self, status: Status) -> int:
        """Count its runs with this verdict."""
        return sum(m.verdict.status is status for m in self.runs)


def cell_rows(panel: Panel) -> list[Row]:
    """Return a row for each cell, off before on; runs without a number stand with those of their cell."""
    own = {m.record_id: group for group in panel.groups for m in group.measurements}
    by_place: dict[tuple[object, ...], dict[str, list[Measurement]]] = {}
    for m in panel.measurements:
        if not m.cell.is_twin:
            group = own.get(m.record_id)
            together = by_place.setdefault(_order(m.cell), {})
            together.setdefault(group.first.record_id if group else "", []).append(m)
    rows = []
    for place in sorted(by_place):
        together = by_place[place]
        without = together.pop("", [])
        several = list(together.values()) or [[]]
        several[0] += without
        rows += [Row(panel=panel, runs=tuple(runs), group=own.get(runs[0].record_id)) for runs in several]
    return rows


def _order(cell: Cell) -> tuple[object, ...]:
    return cell.extras, times_order(cell.times), ARMS.index(cell.mps), cell.procs


def cell_name(cell: Cell, on_gpu: bool) -> str:
    """Name a cell where there is little room; its other factors have columns of their own."""
    return f"{cell.procs} · MPS {cell.mps}" if on_gpu else str(cell.procs)


def cell_table(panel: Panel, roles: Mapping[str, str]) -> Table:
    """Return the table of a panel: every figure that some cell has.

    Args:
        panel: What is shown.
        roles: Record id of a cell's first VALID run -> what the decision calls the cell.
    """
    rows = cell_rows(panel)
    header, columns = ["processes"], [[_named(row, roles) for row in rows]]
    for heading, texts in _columns(panel, rows):
        if any(texts):
            header.append(heading)
            columns.append(texts)
    blocks = sorted({len(row.group) for row in rows if row.group})
    note = (
        f"Medians over {' to '.join(map(str, dict.fromkeys((blocks[0], blocks[-1]))))} "
        f"block{'s' * (blocks[-1] > 1)}; percentiles over all workers and blocks; empty: not known. "
        f"In brackets: interval, of 95 % from {ENOUGH_BLOCKS} blocks on, rough below."
        if blocks
        else "No VALID run: no number."
    )
    too_short = short_window_line([row.group for row in rows if row.group])
    return Table(
        title=panel.title,
        header=tuple(header),
        rows=tuple(zip(*columns, strict=True)),
        notes=(note, *filter(None, [too_short])),
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
    yield "gain", [row.gain.text if row.gain else "" for row in rows]
    yield "ratio", [row.ratio.text if row.ratio else "" for row in rows]
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
    return ["" if v is None or not math.isfinite(v) else f"{v:.{decimals}f}" for v in values]


def exported(
    panels: Sequence[Panel], roles: Mapping[str, str], causes: Mapping[str, str]
) -> list[dict[str, str | float | None]]:
    """Return name -> value for each cell of these panels; a name that no cell has a value of is left out.

    Args:
        panels: What is exported.
        roles: Record id of a cell's first VALID run -> what the decision calls the cell.
        causes: Likewise -> why its processes take longer than one.
    """
    found = [_exported(row, roles, causes) for panel in panels for row in cell_rows(panel)]
    known = {name for row in found for name, value in row.items() if value not in (None, "")}
    return [{name: value for name, value in row.items() if name in known} for row in found]


def _exported(row: Row, roles: Mapping[str, str], causes: Mapping[str, str]) -> dict[str, str | float | None]:
    cell, machine = row.cell, row.runs[0].machine
    values: dict[str, str | float | None] = {
        "gpu": machine.gpu.name if machine.gpu else "",
        "driver": machine.driver_version,
        "host": machine.hostname,
        "model": cell.model,
        "setting": row.panel.varied,
        **{axis.name: cell.axes[axis.name] for axis in FACTORS},
        **{f"{status.value.lower()}_runs": row.count(status) for status in Status},
        "decision": roles.get(row.id, ""),
        "cause": causes.get(row.id, ""),
    }
    for name, estimate in (("gain", row.gain), ("ratio", row.ratio)):
        low, high = (estimate.interval if estimate else None) or (None, None)
        known = {name: estimate.value if estimate else None, f"{name}_low": low, f"{name}_high": high}
        values |= {key: _rounded(value) for key, value in known.items()}
    values["interval"] = interval_name(row.gain.rough) if row.gain and row.gain.interval else ""
    for metric in METRICS:
        shown = metric.of(row.group) if row.group else None
        as_logged = None if shown is None else shown / metric.shown_factor
        values[metric.name.replace("/", "_")] = _rounded(as_logged)
    return values


def _rounded(value: float | None) -> float | None:
    """Keep seven digits, as MLflow gets them."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.7g}")


def machines_table(panels: Sequence[Panel], machines: Machines) -> Table | None:
    """Return the cells that several machines have, side by side; None if there are none."""
    found: dict[_Key, dict[int, str]] = {}
    for panel in panels:
        for group in panel.groups:
            cell = group.first.cell
            varied = dict.fromkeys((*panel.varied.split(), *factor_words(cell.axes)))
            key = (cell.model, " ".join(varied), cell.mps, cell.times, cell.procs)
            found.setdefault(key, {})[machines.index(panel.first)] = _compared(panel, group)
    rows = tuple(
        (_name(key), *(cells.get(index, "-") for index in range(len(machines.lines))))
        for key, cells in found.items()
        if len(cells) > 1
    )
    if not rows:
        return None
    note = "Makespan, ratio and gain over one process of the same machine, throughput; medians over blocks."
    letters = map(letter, range(len(machines.lines)))
    return Table(title="Side by side", header=("cell", *letters), rows=rows, notes=(note,))


def _name(key: _Key) -> str:
    model, varied, mps, times, procs = key
    return " ".join(filter(None, (model, varied, f"mps={mps} procs={procs} times={times}")))


def _compared(panel: Panel, group: Group) -> str:
    ratio = panel.ratio(group)
    said = f"{seconds(group.median_s)} s"
    if ratio.overall and ratio.gain and group.first.cell.procs > 1:
        said += f", ratio {ratio.overall.value:.2f}, gain {ratio.gain.value:.2f}"
    return f"{said}, {rate(group.throughput_median_per_s)} {group.first.cell.item}s/s"
