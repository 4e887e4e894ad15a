"""Compose the sections of a report."""

import itertools
import shlex
from collections.abc import Iterator, Sequence

from mps_experiments.analysis.answer import answer
from mps_experiments.analysis.choice import AS_GOOD, KNEE, choose
from mps_experiments.analysis.fault_answer import fault_answers
from mps_experiments.analysis.machines import Machines
from mps_experiments.analysis.noise import noise_line
from mps_experiments.analysis.numbers import per_cent
from mps_experiments.analysis.panels import ARMS, Panel
from mps_experiments.record.axes import without
from mps_experiments.record.measurement import Measurement
from mps_experiments.record.verdict import Status
from mps_experiments.report.captions import warning_lines
from mps_experiments.report.cells import cell_table
from mps_experiments.report.charts import charts
from mps_experiments.report.content import (
    Block,
    Code,
    Details,
    Heading,
    Paragraph,
    SideBySide,
    bullets,
)
from mps_experiments.report.drawing import Chart
from mps_experiments.report.fault_tables import fault_figures, fault_matrices
from mps_experiments.report.summary import causes
from mps_experiments.report.why import unexplained, why_chart, why_table

_MAX_LISTED = 1000  # lines: some hundred KB at the most
_MAX_TIMELINES = 4
_WORDS = (
    "throughput: items (images) per second of all processes together, while all were at work.",
    "gain: throughput of N processes over that of one, all else equal. N: the others ran for free.",
    "ratio: time per iteration of the slowest of N processes over that of one. 1.0: the others ran for free. "
    "N: as slow as one after the other.",
    "makespan: from the first process's start to the last one's end, over their measured iterations.",
    f"best: the cell with the most throughput, or the fewest processes that reach {per_cent(AS_GOOD)} of "
    f"it; never one that does less than one process. knee: the fewest that reach {per_cent(KNEE)} of the "
    "best, with MPS as it is there.",
    "interval: computed from the ratios within blocks (repeats). From four blocks on it is a 95 % interval "
    "by Student's t. With fewer it is called rough and holds the truth less often. It does not cover what "
    "all blocks share, such as the machine and the day.",
    "p95 takes 100 iterations over processes and blocks, p99 takes 1,000; with fewer it is blank.",
    "Only VALID runs count: MPS on or off was proved for each while its window was measured.",
    "All definitions: docs/reading-results.md of mps_experiments.",
)


def search_section(decided: Sequence[str], without: Sequence[Block]) -> Iterator[Block]:
    """Yield the decision of a search, which knows of goal and limits; `without` is what is said else."""
    if not decided:
        yield from without
        return
    yield Paragraph(text=decided[0], strong=True)
    yield from bullets(decided[1:])
    yield Details(summary="What the runs say without goal and limits", blocks=tuple(without))


def decision_section(panels: Sequence[Panel]) -> Iterator[Block]:
    """Yield the decision of each setting, the first thing on the page."""
    several = [stratum for panel in panels for stratum in panel.strata]
    for panel in several:
        found = answer(panel)
        if len(several) == 1:
            yield Paragraph(text=found.headline, strong=True)
            yield from bullets(found.details)
            return
        yield Heading(text=panel.title, level=3)
        yield Paragraph(text=found.headline, strong=True)
        yield from bullets(found.details[:1])
        if others := bullets(found.details[1:]):
            yield Details(summary="What is open, and how sure this is", blocks=tuple(others))


def panel_section(panel: Panel, prefix: str) -> Iterator[Block]:
    """Yield charts, the table of all cells, and why N processes take longer than one."""
    if drawn := tuple(charts(panel, prefix)):
        yield SideBySide(blocks=drawn)
    yield cell_table(panel, roles(panel))
    yield from _why(panel, prefix)
    if timelines := tuple(_timelines(panel, prefix)):
        yield Details(summary="Timelines of the traced pass", blocks=timelines)


def roles(panel: Panel) -> dict[str, str]:
    """Return record id of a cell's first VALID run -> what the decision calls the cell."""
    found = {}
    for choice in filter(None, map(choose, panel.strata)):
        found[choice.best.first.record_id] = "best"
        found.setdefault(choice.knee.first.record_id, "knee")
    return found


def _why(panel: Panel, prefix: str) -> Iterator[Block]:
    found = causes(panel.measurements)
    if not found:
        return
    yield Heading(text="Why not more", level=3)
    chart, table = why_chart(panel, found, prefix), why_table(panel, found)
    if parts := [part for part in (chart, table) if part is not None]:
        yield SideBySide(blocks=tuple(parts))
    yield from bullets(unexplained(panel, found))
    in_full = bullets([cause.line for cause in found if cause.explanation.figures])
    if in_full:
        yield Details(summary="Each cause with its figures", blocks=tuple(in_full))


def fault_section(measurements: Sequence[Measurement], machines: Machines) -> Iterator[Block]:
    """Yield what broke, where something was made to: an answer, a matrix, folded what each process saw."""
    for runs in machines.apart(measurements):
        tables = tuple(fault_figures(runs))
        if not tables:
            continue
        where = f" · machine {machines.letter(runs[0])}" if machines.are_several else ""
        yield Heading(text=f"What breaks{where}")
        yield from (Paragraph(text=text, strong=True) for text in fault_answers(runs))
        yield from fault_matrices(runs)
        yield Details(summary="All figures of the faults, and what each process saw", blocks=tables)


def care_section(
    measurements: Sequence[Measurement], problems: Sequence[str], machines: Machines
) -> Iterator[Block]:
    """Yield cells without numbers, numbers with warnings, and records that cannot be read."""
    if problems:
        yield Heading(text="Records that cannot be read")
        yield from _listed(problems)
    counts = {status: sum(m.verdict.status is status for m in measurements) for status in Status}
    yield Paragraph(text=", ".join(f"{count} {status.value}" for status, count in counts.items()) + ".")
    failed = [m for m in measurements if not m.verdict.is_valid]
    if failed:
        lines = list(dict.fromkeys(f"{machines.label(m)}{_reason(m)}" for m in failed))
        yield Details(
            summary=f"Without a number: {len(failed)} of {len(measurements)} runs",
            blocks=tuple(_listed(lines)),
        )
    warnings = []
    for runs in machines.apart(measurements):
        found = [*warning_lines(runs), *filter(None, [noise_line(runs)])]
        warnings += [f"{machines.label(runs[0])}{line}" for line in found]
    if warnings:
        yield Details(summary=f"Warnings and noise: {len(warnings)}", blocks=tuple(bullets(warnings)))


def _reason(m: Measurement) -> str:
    """Say why a run has no number; all repeats of a cell are skipped for one reason."""
    name = m.cell_name if m.verdict.status is Status.SKIPPED else m.name
    return f"{name}: {m.verdict.status.value}: {m.verdict.reason}"


def reproduce_section(measurements: Sequence[Measurement], commands: Sequence[str]) -> Iterator[Block]:
    """Yield the commands that give the same numbers again, as far as the machine allows."""
    if not measurements:
        return
    code = "; ".join(dict.fromkeys(map(_code_version, measurements)))
    each = list(dict.fromkeys(map(_command, measurements)))
    blocks: list[Block] = []
    if commands:
        blocks += [Paragraph(text="The sweep:"), Code(text="\n".join(commands))]
    blocks += [
        Paragraph(text=f"With {code}. One run again, compared with the stored one:"),
        Code(text="python -m mps_experiments.replay RUN_FOLDER_OR_MLFLOW_RUN_ID"),
        Paragraph(text="Each cell alone:"),
        Code(text="\n".join(each[:_MAX_LISTED])),
    ]
    if len(each) > _MAX_LISTED:
        blocks.append(Paragraph(text=f"{len(each) - _MAX_LISTED} more are in the records."))
    yield Details(summary="Commands", blocks=tuple(blocks))


def reading_section() -> Iterator[Block]:
    """Define the words of the report."""
    yield Details(summary="How to read this", blocks=tuple(bullets(_WORDS)))


def _timelines(panel: Panel, prefix: str) -> Iterator[Chart]:
    """Yield pictures of the traced pass: of the fewest and the most workers, off and on."""
    chosen: dict[str, None] = {}
    for stratum, mps in itertools.product(panel.strata, ARMS):
        several = [group for count, group in stratum.arm(mps).items() if count > 1]
        chosen |= dict.fromkeys(group.first.record_id for group in (*several[:1], *several[-1:]))
    for number, run in enumerate([run for run in panel.runs if run.measurement.record_id in chosen]):
        if run.timeline is not None and number < _MAX_TIMELINES:
            name = run.measurement.cell_name
            yield Chart(
                name=f"{prefix}timeline-{number + 1}",
                title=f"Timeline of the workers, {name}",
                alt=f"Timeline of {name}: a lane for each worker, when its operations ran in the traced "
                "pass, and below when those of two or more ran together.",
                png=run.timeline.read_bytes(),
            )


def _command(m: Measurement) -> str:
    return shlex.join(["python", "-m", "mps_experiments", *without(m.overrides, "repeat")])


def _code_version(m: Measurement) -> str:
    dirty = " with changes" if m.machine.git_dirty else ""
    commit = f", commit {m.machine.git_commit[:12]}{dirty}" if m.machine.git_commit else ""
    return f"mps_experiments {m.machine.mps_experiments}{commit}"


def _listed(lines: Sequence[str]) -> list[Block]:
    more = len(lines) - _MAX_LISTED
    return bullets([*lines[:_MAX_LISTED], f"... and {more} more"] if more > 0 else lines)
