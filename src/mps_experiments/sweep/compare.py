"""Compare two sweeps, A and B: of two days, two machines, two versions."""

import argparse
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from mps_experiments.analysis.metrics import BY_NAME
from mps_experiments.analysis.numbers import day, three_digits
from mps_experiments.analysis.repeats import Group
from mps_experiments.errors import ConfigError
from mps_experiments.record.measurement import Measurement
from mps_experiments.record.summaries import Found
from mps_experiments.report.command_line import Parser, as_command
from mps_experiments.report.terminal import Terminal, complain
from mps_experiments.sweep.comparison import (
    Compared,
    Names,
    circumstances,
    compared,
    of_one_window,
    survived,
    verdict_line,
)
from mps_experiments.sweep.export.values import asked_for
from mps_experiments.sweep.lookup import add_places, find_runs

_THROUGHPUT = BY_NAME["throughput_per_s"]
_LATENCIES = (BY_NAME["latency/p50_ms"], BY_NAME["latency/p99_ms"])


@as_command
def main(arguments: list[str] | None = None) -> int:
    """Print the verdict, both numbers of each cell, and what else differs.

    Returns:
        0 if cells were compared and every record could be read, 1 if not, 2 for a user's mistake.
    """
    args = _parser().parse_args(arguments)
    words = (args.a, args.b)
    found = [find_runs([word], tracking_uri=args.tracking_uri, output_dir=args.output_dir) for word in words]
    runs = [asked_for(side.runs, drop_unknown=True) for side in found]
    ids = [{run.measurement.record_id for run in side} for side in runs]
    if (shared := ids[0] & ids[1]) in ids:
        what = "the same records as" if ids[0] == ids[1] else "a part of" if shared == ids[1] else "all of"
        raise ConfigError("B", args.b, f"holds {what} {args.a}; name another sweep")
    problems = [problem for side in found for problem in side.problems]
    for problem in problems:
        complain(problem)
    apart = [[run for run in side if run.measurement.record_id not in shared] for side in runs]
    (a, without_a), (b, without_b) = map(of_one_window, apart)
    cells = compared(a, b)
    about = []
    for name, word, side, without in zip("AB", words, found, (without_a, without_b), strict=True):
        about += [f"{name}: {word}: {_about(side)}", *(f"{name}: {line}" for line in without)]
    if shared:
        about.append(f"not used: {len(shared)} run{'s' * (len(shared) > 1)} that A and B share")
    show(Terminal(None), cells, ("A", "B"), about=about)
    return 1 if problems or all(cell.why_not for cell in cells) else 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m mps_experiments.compare", description=__doc__)
    parser.add_argument("a", metavar="A", help="sweep or run folder, measurement.json or MLflow run id")
    parser.add_argument("b", metavar="B", help="the same, of what is compared with A")
    add_places(parser, "--tracking.uri")
    return parser


def _about(found: Found) -> str:
    days = sorted({day(r.measurement.started_at) for r in found.runs})
    return f"{len(found.runs)} runs, {' to '.join(dict.fromkeys((days[0], days[-1])))}"


def show(
    terminal: Terminal,
    cells: Sequence[Compared],
    names: Names,
    about: Sequence[str] = (),
    missing: Sequence[str] = (),
) -> None:
    """Print a comparison: its verdict first, then the numbers, then what else differs.

    Args:
        terminal: Where to.
        cells: What was compared.
        names: Of the two sides.
        about: Lines about the sides.
        missing: Options that the records of A do not have, with the values of B.
    """
    terminal.decision(verdict_line(cells, names))
    for line in about:
        terminal.line(line)
    if any(cell.a and cell.b for cell in cells):
        terminal.show([number_table(cells, names)])
    left_out: dict[str, list[str]] = {}
    for cell in filter(lambda each: each.why_not, cells):
        left_out.setdefault(cell.why_not, []).append(cell.label)
    for why, labels in left_out.items():
        terminal.line(f"not compared, {why}: {'; '.join(labels)}")
    if rows := circumstances(cells, missing):
        terminal.show([circumstance_table(rows, names)])
    elif any(cell.a and cell.b for cell in cells):
        terminal.line(
            "nothing else that is recorded differs: GPU, driver, versions, code, host, files, "
            "load of others on GPU and CPU"
        )


def number_table(cells: Sequence[Compared], names: Names) -> Table:
    """Return a line for each cell in both: throughput, its change with the interval, latency."""
    a, b = names
    both = [cell for cell in cells if cell.a and cell.b]
    items = {cell.a[0].cell.item for cell in both}
    rate = _THROUGHPUT.heading.format(item=items.pop() if len(items) == 1 else "item")
    columns = ("cell", f"{a} {rate}", f"{b} {rate}", f"{b} / {a}", *(each.heading for each in _LATENCIES))
    return _table(f"{a} against {b}".upper(), columns, [_line(cell) for cell in both])


def circumstance_table(rows: Sequence[tuple[str, str, str]], names: Names) -> Table:
    """Return what differs around the runs."""
    return _table("WHAT ELSE DIFFERS", ("what", *names), rows)


def _table(title: str, columns: Sequence[str], lines: Sequence[Sequence[str]]) -> Table:
    made = Table(*columns, title=title, title_justify="left")
    for line in lines:
        made.add_row(*map(Text, line))  # as it stands: a text of a record may look like markup
    return made


def _line(cell: Compared) -> list[str]:
    if not (cell.a or cell.b)[0].is_ordinary:
        finished = ["{} of {}".format(*survived(side)) for side in (cell.a, cell.b)]
        return [f"{cell.label}: all others finished", *finished]
    left, right = _figures(cell.a), _figures(cell.b)
    latencies = (f"{one or '-'} → {two or '-'}" for one, two in zip(left[1:], right[1:], strict=True))
    return [cell.label, left[0], right[0], cell.change.precise_text if cell.change else "-", *latencies]


def _figures(runs: Sequence[Measurement]) -> list[str]:
    """Return throughput, or why there is none, and percentiles."""
    valid = [m for m in runs if m.verdict.is_valid]
    if not valid:
        return [runs[0].verdict.status.value, *("" for _ in _LATENCIES)]
    group = Group.of(valid)
    latencies = [each.of(group) for each in _LATENCIES]
    return [_THROUGHPUT.shown(group), *("" if ms is None else three_digits(ms) for ms in latencies)]
