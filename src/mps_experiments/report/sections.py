"""The sections of a report."""

import itertools
import shlex
from collections.abc import Iterator, Sequence

from mps_experiments.analysis.answer import answer
from mps_experiments.analysis.choice import KNEE
from mps_experiments.analysis.fault_answer import fault_answers
from mps_experiments.analysis.machines import Machines
from mps_experiments.analysis.noise import noise_line
from mps_experiments.analysis.panels import ARMS, Panel
from mps_experiments.analysis.repeats import Group
from mps_experiments.record.axes import BY_NAME, EXTRA_FACTORS
from mps_experiments.record.measurement import Measurement
from mps_experiments.record.verdict import Status
from mps_experiments.report.captions import warnings_of
from mps_experiments.report.charts import charts
from mps_experiments.report.content import (
    Block,
    Bullets,
    Code,
    Heading,
    Paragraph,
    SideBySide,
    Table,
    bullets,
)
from mps_experiments.report.drawing import Chart, NoChart
from mps_experiments.report.fault_tables import fault_tables
from mps_experiments.report.figure_tables import all_figures
from mps_experiments.report.summary import why_lines
from mps_experiments.report.tables import tables

_MAX_LISTED = 1000  # lines: some hundred KB at the most
_NO_TIMELINE = NoChart(
    title="Timeline of the workers",
    reason="needs the timeline.png of a VALID run of several processes beside its record; a traced pass "
    "makes it (trace.iterations=3)",
)
_MAX_TIMELINES = 4


def answer_section(panels: Sequence[Panel]) -> Iterator[Block]:
    """Yield the answer of each panel, the first thing on the page."""
    several = [stratum for panel in panels for stratum in panel.strata]
    for panel in several:
        if len(several) > 1:
            yield Heading(text=panel.title, level=3)
        found = answer(panel)
        yield Paragraph(text=found.headline, strong=True)
        yield from bullets(found.details)


def table_section(panel: Panel) -> Iterator[Block]:
    """Yield the table of each MPS state, and all figures in one."""
    yield from map(Table.of, tables(panel.measurements))
    if panel.groups:
        yield all_figures(panel)


def chart_section(panel: Panel, prefix: str) -> Iterator[Block]:
    """Yield the charts, and why others are not there."""
    found = charts(panel, prefix)
    drawn = tuple(each for each in found if isinstance(each, Chart))
    if drawn:
        yield SideBySide(charts=drawn)
    pictures = list(_timelines(panel, prefix))
    yield from pictures
    missing = [each for each in found if isinstance(each, NoChart)]
    if not pictures:
        missing.append(_NO_TIMELINE)
    yield from bullets([f'No chart "{each.title}": {each.reason}.' for each in missing])


def why_section(panels: Sequence[Panel], machines: Machines) -> Iterator[Block]:
    """Say what keeps N processes from taking the time of one."""
    lines = [
        f"{machines.label(panel.first)}{line}" for panel in panels for line in why_lines(panel.measurements)
    ]
    if lines:
        yield Heading(text="Why not more")
        yield Bullets(items=tuple(lines))


def fault_section(measurements: Sequence[Measurement], machines: Machines) -> Iterator[Block]:
    """Yield what broke, where something was made to."""
    found = [
        (runs[0], list(fault_tables(runs)), fault_answers(runs)) for runs in machines.apart(measurements)
    ]
    if any(together for _, together, _ in found):
        yield Heading(text="What breaks")
    for first, together, answers in found:
        if together and machines.are_several:
            yield Heading(text=f"Machine {machines.letter(first)}", level=3)
        yield from (Paragraph(text=text, strong=True) for text in answers)
        yield from map(Table.of, together)


def missing_section(
    measurements: Sequence[Measurement], problems: Sequence[str], machines: Machines
) -> Iterator[Block]:
    """List cells without numbers, numbers with warnings, and records that cannot be read."""
    unnumbered = [m for m in measurements if m.verdict.status is not Status.VALID]
    yield Heading(text="What has no number, and what to read with care")
    counts = {status: sum(m.verdict.status is status for m in measurements) for status in Status}
    yield Paragraph(text=", ".join(f"{count} {status.value}" for status, count in counts.items()) + ".")
    yield from _listed(
        [f"{machines.label(m)}{m.name}: {m.verdict.status.value}: {m.verdict.reason}" for m in unnumbered]
    )
    warnings = [
        f"{machines.label(m)}{m.name}: {finding.check}: {finding.text}"
        for m in measurements
        for finding in warnings_of(m)
    ]
    for runs in machines.apart(measurements):
        if (line := noise_line(runs)) is not None:
            yield Paragraph(text=f"{machines.label(runs[0])}{line}.")
    if warnings:
        yield Heading(text="Warnings", level=3)
        yield from _listed(warnings)
    if problems:
        yield Heading(text="Records that cannot be read", level=3)
        yield from _listed(problems)


def reproduce_section(measurements: Sequence[Measurement], commands: Sequence[str]) -> Iterator[Block]:
    """Yield the commands that give the same numbers again, as far as the machine allows."""
    if not measurements:
        return
    yield Heading(text="Reproduce")
    if commands:
        yield Paragraph(text="The sweep:")
        yield Code(text="\n".join(commands))
    code = dict.fromkeys(map(_code_version, measurements))
    yield Paragraph(text=f"With {'; '.join(code)}. One run again, compared with the stored one:")
    yield Code(text="python -m mps_experiments.replay RUN_FOLDER_OR_MLFLOW_RUN_ID")
    yield Paragraph(text="Each cell alone:")
    each = list(dict.fromkeys(map(_command, measurements)))
    yield Code(text="\n".join(each[:_MAX_LISTED]))
    if len(each) > _MAX_LISTED:
        yield Paragraph(text=f"{len(each) - _MAX_LISTED} more are in the records.")


def reading_section() -> Iterator[Block]:
    """Define the words of the report."""
    yield Heading(text="How to read this")
    yield Bullets(
        items=(
            "makespan: last worker's end minus first worker's start, over the workers' own iterations.",
            "ratio: time per iteration of the slowest of N processes over that of one, all else equal. "
            "1.0: the others ran for free. N: as slow as one after the other. More: worse than that.",
            "throughput: items (images) per second of all processes together, while all were at work.",
            "gain: throughput of N processes over that of one.",
            "best: the cell with the most throughput. Knee: the fewest replicas with "
            f"{100 * KNEE:.0f} % of it. Open: the interval allows both.",
            "interval: computed from the ratios within blocks (repeats). From four blocks on it is a 95 % "
            "interval by Student's t. With fewer it is called rough and holds the truth less often. It does "
            "not cover what all blocks share, such as the machine and the day.",
            "p95 takes 100 iterations over processes and blocks, p99 takes 1,000; with fewer it is blank.",
            "Only VALID runs count: MPS on or off was proved for each while its window was measured.",
            "All definitions: docs/reading-results.md of mps_experiments.",
        )
    )


def _timelines(panel: Panel, prefix: str) -> Iterator[Chart]:
    """Yield pictures of the traced pass: of the fewest and the most workers, off and on."""
    chosen: dict[str, Group] = {}
    for stratum, pick in itertools.product(panel.strata, (min, max)):
        for mps in ARMS:
            several = {count: group for count, group in stratum.arm(mps).items() if count > 1}
            if several:
                group = several[pick(several)]
                chosen[group.first.record_id] = group
    by_id = {run.measurement.record_id: run for run in panel.runs}
    for record_id, group in list(chosen.items())[:_MAX_TIMELINES]:
        path = by_id[record_id].timeline
        if path is None:
            continue
        name = group.first.cell_name
        yield Chart(
            name="-".join((f"{prefix}timeline", *map(str, _place(group)))),
            title=f"Timeline of the workers, {name}",
            alt=f"Timeline of {name}: a lane for each worker, when its operations ran in the traced pass, "
            "and below when those of two or more ran together.",
            png=path.read_bytes(),
        )


def _place(group: Group) -> Iterator[object]:
    cell = group.first.cell
    for axis in (BY_NAME["mps"], BY_NAME["procs"], *EXTRA_FACTORS):
        if cell.axes[axis.name] != axis.usual:
            yield from (axis.name, cell.axes[axis.name])


def _command(m: Measurement) -> str:
    return shlex.join(["python", "-m", "mps_experiments", *m.overrides])


def _code_version(m: Measurement) -> str:
    dirty = " with changes" if m.machine.git_dirty else ""
    commit = f", commit {m.machine.git_commit[:12]}{dirty}" if m.machine.git_commit else ""
    return f"mps_experiments {m.machine.mps_experiments}{commit}"


def _listed(lines: Sequence[str]) -> list[Block]:
    more = len(lines) - _MAX_LISTED
    return bullets([*lines[:_MAX_LISTED], f"... and {more} more"] if more > 0 else lines)
