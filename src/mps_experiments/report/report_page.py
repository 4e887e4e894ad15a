"""Compose the report of any runs."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from textwrap import shorten

from mps_experiments.analysis.machines import Machines, letter
from mps_experiments.analysis.panels import Panel, panels
from mps_experiments.analysis.runs import ReportRun
from mps_experiments.report.content import Block, Bullets, Heading, Page, Paragraph, Table
from mps_experiments.report.figure_tables import machines_table
from mps_experiments.report.markdown import blocks_to_markdown
from mps_experiments.report.sections import (
    answer_section,
    chart_section,
    fault_section,
    missing_section,
    reading_section,
    reproduce_section,
    table_section,
    why_section,
)
from mps_experiments.report.tables import tables

_NO_RECORD = "No record could be read: what is wrong with each stands below."
_MAX_MODELS = 120  # characters of the title
_FAULTS_ONLY = "Only runs with a fault: what broke stands below."


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The runs that a report is about.

    Attributes:
        commands: What was typed, one for each sweep.
        problems: Why records could not be read.
        precision: The goal of the one sweep that it is about; 0 for none, and for several sweeps.
    """

    runs: tuple[ReportRun, ...]
    commands: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    precision: float = 0.0


def report_page(subject: Subject) -> Page:
    """Compose the page; it says what is missing where something is."""
    return Page(title=_title(subject), blocks=tuple(_blocks(subject)))


def description(subject: Subject, has_page: bool) -> str:
    """Return the answer and the tables in Markdown, for the sweep's run in MLflow.

    Args:
        subject: What it is about.
        has_page: Whether the page itself is among the run's artifacts.
    """
    found = panels(subject.runs, subject.precision)
    blocks: list[Block] = list(answer_section(found))
    for panel in found:
        blocks += [Table.of(table) for table in tables(panel.measurements)]
    measurements = [run.measurement for run in subject.runs]
    blocks += fault_section(measurements, Machines.of(measurements))
    if has_page:
        blocks.append(Paragraph(text="The whole report, with charts: report.html among the artifacts."))
    return blocks_to_markdown(blocks)


def _title(subject: Subject) -> str:
    models = dict.fromkeys(run.measurement.cell.model for run in subject.runs)
    dates = sorted({_date(run) for run in subject.runs})
    if not dates:
        return "Processes on one GPU: no runs"
    shown = shorten(", ".join(models), _MAX_MODELS, placeholder=" ...")
    where = "one GPU" if any(run.measurement.machine.gpu for run in subject.runs) else "the CPU"
    return f"Processes on {where}: {shown}, {' to '.join(dict.fromkeys((dates[0], dates[-1])))}"


def _date(run: ReportRun) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(run.measurement.started_at))


def _blocks(subject: Subject) -> Iterator[Block]:
    found = panels(subject.runs, subject.precision)
    measurements = [run.measurement for run in subject.runs]
    machines = Machines.of(measurements)
    yield from _machine_lines(machines)
    yield Heading(text="The answer")
    if not found:
        yield Paragraph(text=_FAULTS_ONLY if measurements else _NO_RECORD)
    yield from _by_machine(found, machines)
    yield from why_section(found, machines)
    yield from fault_section(measurements, machines)
    yield from missing_section(measurements, subject.problems, machines)
    yield from reproduce_section(measurements, subject.commands)
    yield from reading_section()


def _machine_lines(machines: Machines) -> Iterator[Block]:
    if machines.are_several:
        yield Paragraph(text=f"{len(machines.lines)} machines:")
        yield Bullets(items=tuple(f"{letter(i)}: {line}." for i, line in enumerate(machines.lines)))
    elif machines.lines:
        yield Paragraph(text=f"Machine: {machines.lines[0]}.")


def _by_machine(found: Sequence[Panel], machines: Machines) -> Iterator[Block]:
    """Yield answers, then machines side by side, then each panel's tables and charts."""
    if machines.are_several:
        for panel in sorted(found, key=lambda panel: machines.index(panel.first)):
            yield Heading(text=f"Machine {machines.letter(panel.first)} · {panel.title}", level=3)
            yield from answer_section([panel])
        if (table := machines_table(found, machines)) is not None:
            yield Heading(text="The machines side by side")
            yield table
    else:
        yield from answer_section(found)
    for number, panel in enumerate(found):
        where = f" · machine {machines.letter(panel.first)}" if machines.are_several else ""
        yield Heading(
            text=f"Tables and charts: {panel.title}{where}" if len(found) > 1 else "Tables and charts"
        )
        yield from table_section(panel)
        yield from chart_section(panel, f"{number + 1}-" if len(found) > 1 else "")
