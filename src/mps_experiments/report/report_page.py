"""Compose the report of any runs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from textwrap import shorten

from mps_experiments.analysis.fault_answer import fault_answers
from mps_experiments.analysis.machines import Machines, letter
from mps_experiments.analysis.numbers import day
from mps_experiments.analysis.panels import Panel, panels
from mps_experiments.analysis.runs import ReportRun
from mps_experiments.report.cells import cell_table
from mps_experiments.report.content import Block, Bullets, Details, Heading, Page, Paragraph
from mps_experiments.report.fault_tables import fault_matrices
from mps_experiments.report.markdown import blocks_to_markdown
from mps_experiments.report.sections import (
    care_section,
    decision_section,
    fault_section,
    panel_section,
    reading_section,
    reproduce_section,
    roles,
    search_section,
)

_NO_RECORD = "No record could be read: what is wrong with each stands below."
_MAX_MODELS = 120  # characters of the title


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The runs that a report is about.

    Attributes:
        commands: What was typed, one for each sweep.
        problems: Why records could not be read.
        precision: The goal of the one sweep that it is about; 0 for none, and for several sweeps.
        decided: The decision of the search that the one sweep was made for, a line each.
        is_cut_off: True if a signal has just ended it before all of its runs were made.
    """

    runs: tuple[ReportRun, ...]
    commands: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    precision: float = 0.0
    decided: tuple[str, ...] = ()
    is_cut_off: bool = False


def report_page(subject: Subject) -> Page:
    """Compose the page; it says what is missing where something is."""
    return Page(title=_title(subject), blocks=tuple(_blocks(subject)))


def description(subject: Subject, has_page: bool) -> str:
    """Return decision, cells and warnings in Markdown, for the sweep's run in MLflow.

    Args:
        subject: What it is about.
        has_page: Whether the page itself is among the run's artifacts.
    """
    found = _panels(subject)
    measurements = [run.measurement for run in subject.runs]
    blocks: list[Block] = [Paragraph(text=text, strong=True) for text in fault_answers(measurements)]
    blocks += search_section(subject.decided, list(decision_section(found)))
    blocks += [cell_table(panel, roles(panel)) for panel in found]
    blocks += fault_matrices(measurements)
    blocks += care_section(measurements, (), Machines.of(measurements))
    if has_page:
        blocks.append(Paragraph(text="The whole report, with charts: report.html among the artifacts."))
    return blocks_to_markdown(blocks)


def _title(subject: Subject) -> str:
    models = dict.fromkeys(run.measurement.cell.model for run in subject.runs)
    dates = sorted({day(run.measurement.started_at) for run in subject.runs})
    if not dates:
        return "No runs"
    shown = shorten(", ".join(models), _MAX_MODELS, placeholder=" ...")
    gpus = {gpu.name if (gpu := run.measurement.machine.gpu) else "the CPU" for run in subject.runs}
    where = "several machines" if len(gpus) > 1 else gpus.pop()
    one = "" if where in ("several machines", "the CPU") else "one "
    return f"Processes on {one}{where}: {shown}, {' to '.join(dict.fromkeys((dates[0], dates[-1])))}"


def _panels(subject: Subject) -> list[Panel]:
    """Divide the runs; those of a search without its pilot run, which leaves nothing to choose."""
    found = panels(subject.runs, subject.precision, subject.is_cut_off)
    several = [panel for panel in found if len(panel.groups) > 1]
    return several if subject.decided and several else found


def _blocks(subject: Subject) -> Iterator[Block]:
    found = _panels(subject)
    measurements = [run.measurement for run in subject.runs]
    machines = Machines.of(measurements)
    if not measurements:
        yield Paragraph(text=_NO_RECORD)
    yield from fault_section(measurements, machines)
    if found:
        yield Heading(text="The decision")
        yield from search_section(subject.decided, list(_decisions(found, machines)))
    for number, panel in enumerate(found):
        where = f" · machine {machines.letter(panel.first)}" if machines.are_several else ""
        if len(found) > 1:
            yield Heading(text=f"{panel.title}{where}")
        yield from panel_section(panel, f"{number + 1}-" if len(found) > 1 else "")
    yield from care_section(measurements, subject.problems, machines)
    yield from reproduce_section(measurements, subject.commands)
    yield from _machine_section(machines)
    yield from reading_section()


def _decisions(found: Sequence[Panel], machines: Machines) -> Iterator[Block]:
    """Yield what each panel shows, of several machines one after the other."""
    if not machines.are_several:
        yield from decision_section(found)
        return
    for panel in sorted(found, key=lambda panel: machines.index(panel.first)):
        gpu = panel.first.machine.gpu
        name = f"Machine {machines.letter(panel.first)}, {gpu.name if gpu else 'CPU only'} · {panel.title}"
        yield Heading(text=name, level=3)
        yield from decision_section([panel])


def _machine_section(machines: Machines) -> Iterator[Block]:
    lines = tuple(
        f"{letter(place)}: {line}." if machines.are_several else f"{line}."
        for place, line in enumerate(machines.lines)
    )
    if lines:
        yield Details(
            summary="Machines" if machines.are_several else "Machine", blocks=(Bullets(items=lines),)
        )
