"""Tables of all figures: of one panel, and of several machines side by side; pure."""

from collections.abc import Sequence

from mps_experiments.pages.content import Table
from mps_experiments.pages.figures import median_of, rate, short
from mps_experiments.pages.machines import Machines, letter
from mps_experiments.pages.panels import ARMS, Panel
from mps_experiments.record import Times, times_order
from mps_experiments.report.estimates import ENOUGH_BLOCKS
from mps_experiments.report.numbers import milliseconds, seconds
from mps_experiments.report.repeats import Group
from mps_experiments.report.short_windows import short_window_line

_Key = tuple[str, str, str, Times, int]  # model, what varies, mps, times, procs


def machines_table(panels: Sequence[Panel], machines: Machines) -> Table | None:
    """Cells that several machines have, side by side; None if there are none."""
    found: dict[_Key, dict[int, str]] = {}
    for panel in panels:
        for group in panel.groups:
            cell = group.first.cell
            key = (cell.model, panel.varied, cell.mps, cell.times, cell.procs)
            found.setdefault(key, {})[machines.index(panel.first)] = _compared(panel, group)
    rows = tuple(
        (_name(key), *(cells.get(index, "-") for index in range(len(machines.lines))))
        for key, cells in found.items()
        if len(cells) > 1
    )
    if not rows:
        return None
    note = "Makespan, ratio and gain over one process of the same machine, iterations/s; medians over blocks."
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
    return f"{said}, {rate(group)}/s"


def all_figures(panel: Panel) -> Table:
    """Every figure of every cell with a VALID run."""
    header = (
        *(
            "mps",
            "procs",
            "times",
            "blocks",
            "makespan s",
            "ratio [interval]",
            "gain [interval]",
            "iterations/s",
            "p50 ms",
            "p95 ms",
            "p99 ms",
        ),
        *("J per iteration", "power W", "overlap %", "GPU busy %", "SM activity %"),
    )
    ordered = sorted(
        panel.groups,
        key=lambda g: (ARMS.index(g.first.cell.mps), times_order(g.first.cell.times), g.first.cell.procs),
    )
    rows = tuple(_figures_row(panel, group) for group in ordered)
    note = (
        "Medians over the blocks; percentiles over all workers and blocks; empty where it cannot be told. "
        f"Intervals: 95 % from {ENOUGH_BLOCKS} blocks on, rough below."
    )
    notes = (note, *filter(None, [short_window_line(ordered)]))
    return Table(title=f"All figures · {panel.title}", header=header, rows=rows, notes=notes)


def _figures_row(panel: Panel, group: Group) -> tuple[str, ...]:
    cell, ratio = group.first.cell, panel.ratio(group)
    names = ("energy_per_iteration_j", "power_w", "overlap", "busy", "sm_activity")
    values = [median_of(group.measurements, name) for name in names]
    return (
        *(cell.mps, str(cell.procs), str(cell.times), str(len(group)), seconds(group.median_s)),
        *(estimate.text if estimate else "" for estimate in (ratio.overall, ratio.gain)),
        rate(group),
        *(milliseconds(group.latencies.percentile_s(percent)) for percent in (50, 95, 99)),
        *("" if value is None else short(value) for value in values),
    )
