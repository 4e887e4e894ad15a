"""A report of any runs: what it says, in which order."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mps_experiments.pages.content import Block, Bullets, Heading, Page, Paragraph, Table
from mps_experiments.pages.figure_tables import machines_table
from mps_experiments.pages.markdown import blocks_to_markdown
from mps_experiments.pages.panels import Panel, machine_line, panels
from mps_experiments.pages.runs import ReportRun
from mps_experiments.pages.sections import (
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
    """What a report is about.

    Attributes:
        commands: What was typed, one for each sweep.
        problems: Why records could not be read.
    """

    runs: tuple[ReportRun, ...]
    commands: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def report_page(subject: Subject) -> Page:
    """The page; it says what is missing where something is."""
    return Page(title=_title(subject), blocks=tuple(_blocks(subject)))


def description(subject: Subject, has_page: bool) -> str:
    """The answer and the tables in Markdown, for the sweep's run in MLflow.

    Args:
        subject: What it is about.
        has_page: Whether the page itself is among the run's artifacts.
    """
    found = panels(subject.runs)
    blocks: list[Block] = list(answer_section(found))
    for panel in found:
        blocks += [Table.of(table) for table in tables(panel.measurements)]
    blocks += fault_section([run.measurement for run in subject.runs])
    if has_page:
        blocks.append(Paragraph(text="The whole report, with charts: report.html among the artifacts."))
    return blocks_to_markdown(blocks)


def _title(subject: Subject) -> str:
    models = dict.fromkeys(run.measurement.cell.model for run in subject.runs)
    dates = sorted({_date(run) for run in subject.runs})
    if not dates:
        return "Processes on one GPU: no runs"
    text = ", ".join(models)
    shown = text if len(text) <= _MAX_MODELS else f"{text[:_MAX_MODELS]} ..."
    return f"Processes on one GPU: {shown}, {' to '.join(dict.fromkeys((dates[0], dates[-1])))}"


def _date(run: ReportRun) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(run.measurement.started_at))


def _blocks(subject: Subject) -> Iterator[Block]:
    found = panels(subject.runs)
    measurements = [run.measurement for run in subject.runs]
    machines = list(dict.fromkeys(machine_line(m.machine) for m in measurements))
    yield from _machine_lines(machines)
    yield Heading(text="The answer")
    if not found:
        yield Paragraph(text=_FAULTS_ONLY if measurements else _NO_RECORD)
    yield from _by_machine(found, machines)
    yield from why_section(found)
    yield from fault_section(measurements)
    yield from missing_section(measurements, subject.problems)
    yield from reproduce_section(measurements, subject.commands)
    yield from reading_section()


def _machine_lines(machines: Sequence[str]) -> Iterator[Block]:
    if len(machines) == 1:
        yield Paragraph(text=f"Machine: {machines[0]}.")
    elif machines:
        yield Paragraph(text=f"{len(machines)} machines:")
        yield Bullets(items=tuple(f"{_letter(i)}: {line}." for i, line in enumerate(machines)))


def _by_machine(found: Sequence[Panel], machines: Sequence[str]) -> Iterator[Block]:
    """Answers, then machines side by side, then each panel's tables and charts."""
    if len(machines) == 1:
        yield from answer_section(found)
    else:
        for index, panel in _in_order(found, machines):
            yield Heading(text=f"Machine {_letter(index)} · {panel.title}", level=3)
            yield from answer_section([panel])
    names = [_letter(machines.index(machine_line(panel.first.machine))) for panel in found]
    if len(machines) > 1 and (table := machines_table(found, names)) is not None:
        yield Heading(text="The machines side by side")
        yield table
    for number, panel in enumerate(found):
        where = f" · machine {names[number]}" if len(machines) > 1 else ""
        yield Heading(
            text=f"Tables and charts: {panel.title}{where}" if len(found) > 1 else "Tables and charts"
        )
        yield from table_section(panel)
        yield from chart_section(panel, f"{number + 1}-" if len(found) > 1 else "")


def _in_order(found: Sequence[Panel], machines: Sequence[str]) -> list[tuple[int, Panel]]:
    """The panels of the first machine first, each with its machine's number."""
    placed = [(machines.index(machine_line(panel.first.machine)), panel) for panel in found]
    return sorted(placed, key=lambda each: each[0])


def _letter(index: int) -> str:
    return chr(ord("A") + index) if index < 26 else f"#{index + 1}"
