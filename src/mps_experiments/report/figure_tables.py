"""Tables of all figures: of one panel, and of several machines side by side; pure."""

from collections.abc import Sequence

from mps_experiments.analysis.estimates import ENOUGH_BLOCKS
from mps_experiments.analysis.machines import Machines, letter
from mps_experiments.analysis.metrics import SHOWN
from mps_experiments.analysis.numbers import rate, seconds
from mps_experiments.analysis.panels import ARMS, Panel
from mps_experiments.analysis.repeats import Group
from mps_experiments.analysis.short_windows import short_window_line
from mps_experiments.record.axes import Axis, factor_words, varied_factors
from mps_experiments.record.measurement import Cell, Times, times_order
from mps_experiments.report.content import Table

_Key = tuple[str, str, str, Times, int]  # model, what varies, mps, times, procs


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


def all_figures(panel: Panel) -> Table:
    """Return every figure of every cell with a VALID run."""
    extras = varied_factors([m.cell.axes for m in panel.measurements])
    makespan, *others = (metric.heading.format(item=panel.first.cell.item) for metric in SHOWN)
    header = (
        *("mps", "procs", *(axis.label for axis in extras), "times", "blocks"),
        *(makespan, "ratio [interval]", "gain [interval]", *others),
    )
    ordered = sorted(panel.groups, key=lambda g: _order(g.first.cell))
    rows = tuple(_figures_row(panel, group, extras) for group in ordered)
    note = (
        "Medians over the blocks; percentiles over all workers and blocks; empty where it cannot be told. "
        f"Intervals: 95 % from {ENOUGH_BLOCKS} blocks on, rough below."
    )
    notes = (note, *filter(None, [short_window_line(ordered)]))
    return Table(title=f"All figures · {panel.title}", header=header, rows=rows, notes=notes)


def _order(cell: Cell) -> tuple[object, ...]:
    return ARMS.index(cell.mps), cell.extras, times_order(cell.times), cell.procs


def _figures_row(panel: Panel, group: Group, extras: Sequence[Axis]) -> tuple[str, ...]:
    cell, ratio = group.first.cell, panel.ratio(group)
    factors = [cell.mps, cell.procs, *(cell.axes[axis.name] for axis in extras), cell.times, len(group)]
    makespan, *others = (metric.shown(group) for metric in SHOWN)
    compared = (estimate.text if estimate else "" for estimate in (ratio.overall, ratio.gain))
    return (*map(str, factors), makespan, *compared, *others)
