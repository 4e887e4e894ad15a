"""Tables of all figures: of one panel, and of several machines side by side; pure."""

from collections.abc import Sequence

from mps_experiments.pages.content import Table
from mps_experiments.pages.figures import median_latency_s, median_of, rate, short
from mps_experiments.pages.machines import Machines, letter
from mps_experiments.pages.panels import ARMS, Panel
from mps_experiments.record import Times, times_order
from mps_experiments.report.numbers import milliseconds, seconds
from mps_experiments.report.repeats import Group

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
    note = "Makespan, ratio to one process of the same machine, iterations/s; median over repeats."
    letters = map(letter, range(len(machines.lines)))
    return Table(title="Side by side", header=("cell", *letters), rows=rows, notes=(note,))


def _name(key: _Key) -> str:
    model, varied, mps, times, procs = key
    return " ".join(filter(None, (model, varied, f"mps={mps} procs={procs} times={times}")))


def _compared(panel: Panel, group: Group) -> str:
    ratio = panel.ratio(group).median
    said = f"{seconds(group.median_s)} s"
    said += f", ratio {ratio:.2f}" if ratio is not None and group.first.cell.procs > 1 else ""
    return f"{said}, {rate(group)}/s"


def all_figures(panel: Panel) -> Table:
    """Every figure of every cell with a VALID run."""
    header = (
        *(
            "mps",
            "procs",
            "times",
            "repeats",
            "makespan s",
            "ratio [95 %]",
            "iterations/s",
            "p50 ms",
            "p99 ms",
        ),
        *("J per iteration", "power W", "overlap %", "GPU busy %", "SM activity %"),
    )
    ordered = sorted(
        panel.groups,
        key=lambda g: (ARMS.index(g.first.cell.mps), times_order(g.first.cell.times), g.first.cell.procs),
    )
    rows = tuple(_figures_row(panel, group) for group in ordered)
    note = "Medians over the repeats; empty where it was not measured or cannot be told."
    return Table(title=f"All figures · {panel.title}", header=header, rows=rows, notes=(note,))


def _figures_row(panel: Panel, group: Group) -> tuple[str, ...]:
    cell, ratio = group.first.cell, panel.ratio(group)
    interval = f" [{ratio.interval[0]:.2f}, {ratio.interval[1]:.2f}]" if ratio.interval else ""
    names = ("energy_per_iteration_j", "power_w", "overlap", "busy", "sm_activity")
    values = [median_of(group.measurements, name) for name in names]
    return (
        *(cell.mps, str(cell.procs), str(cell.times), str(len(group)), seconds(group.median_s)),
        f"{ratio.median:.2f}{interval}" if ratio.median is not None else "",
        rate(group),
        *(milliseconds(median_latency_s(group, which)) for which in ("latency_p50_s", "latency_p99_s")),
        *("" if value is None else short(value) for value in values),
    )
