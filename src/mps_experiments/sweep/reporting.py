"""The report of a sweep, from what it left on disk; it may fail without costing anything else."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from mps_experiments.analysis.answer import answer
from mps_experiments.analysis.explanation import explain
from mps_experiments.analysis.fault_answer import fault_answers
from mps_experiments.analysis.machines import Machines
from mps_experiments.analysis.panels import panels
from mps_experiments.analysis.runs import ReportRun
from mps_experiments.record.measurement import Measurement
from mps_experiments.record.summaries import summary_of
from mps_experiments.report.cells import cost_tables
from mps_experiments.report.fault_tables import fault_tables
from mps_experiments.report.report_page import Subject, description, report_page
from mps_experiments.report.summary import closing_lines, summary_text
from mps_experiments.report.tables import tables
from mps_experiments.report.terminal import Terminal, complain
from mps_experiments.report.writing import write_report
from mps_experiments.tracking.tracker import SweepReport


def sweep_report(
    measurements: Sequence[Measurement],
    places: Mapping[str, Path],
    folder: Path | None,
    command: str,
    precision: float = 0.0,
    decided: tuple[str, ...] = (),
    is_cut_off: bool = False,
) -> SweepReport:
    """Write the report into the sweep's folder; without a folder only what MLflow shows is made.

    Args:
        measurements: All runs.
        places: Record id -> the folder that holds the record.
        folder: Where the report goes; None for no files.
        command: What was typed.
        precision: The sweep's own goal, whatever the records that it took over say; 0 for none.
        decided: The decision of the search that the sweep was made for; empty if there was none.
        is_cut_off: True if a signal ended the sweep.
    """
    text = summary_text(measurements)
    try:
        runs = tuple(ReportRun.of(m, places.get(m.record_id)) for m in measurements)
        subject = Subject(
            runs=runs, commands=(command,), precision=precision, decided=decided, is_cut_off=is_cut_off
        )
        said = decided or tuple(answer_lines(subject))
        if folder is None:
            words = description(subject, has_page=False)
            return SweepReport(tables=text, answers=said, description=words, decided=decided)
        written = write_report(subject, folder)
        return SweepReport(
            tables=text,
            answers=said,
            description=written.description,
            files=written.files,
            decided=decided,
        )
    except Exception as error:
        complain(f"the report could not be made ({type(error).__name__}: {error}); the records are complete")
        return SweepReport(tables=text, description=f"```\n{text}\n```", decided=decided)


def show_sweep(
    terminal: Terminal, report: SweepReport, measurements: Sequence[Measurement], decided: Sequence[str] = ()
) -> None:
    """Print the answer, then the tables and what is to be known of them; of a search what was decided."""
    if decided:  # tables and causes are in the report: this is what was asked
        terminal.decision("\n".join(decided))
        terminal.show(cost_tables(measurements))
        return
    for line in report.answers:
        terminal.decision(line)
    if measurements:
        shown = [*tables(measurements, told=True), *fault_tables(measurements)]
        terminal.show([*shown, *cost_tables(measurements)])
        for line in closing_lines(measurements):
            terminal.line(line)


def sound_runs(runs: Iterable[tuple[Measurement, Path | None]]) -> tuple[list[ReportRun], list[str]]:
    """Return the runs whose records bear figures, and a line for each whose record contradicts itself."""
    found, problems = [], []
    for measurement, folder in runs:
        try:
            run = ReportRun.of(measurement, folder)
            report_page(Subject(runs=(run,)))
            explain(run.measurement, run.measurement)
            found.append(run)
        except Exception as error:  # whatever somebody's editor did to it
            why = f"{type(error).__name__}: {error}"
            problems.append(f"{measurement.name} ({folder}): the record contradicts itself ({why})")
    return found, problems


def tables_by_machine(measurements: Sequence[Measurement], width: int) -> str:
    """Return tables and causes as text; of several machines each by itself, after its line."""
    machines = Machines.of(measurements)
    if not machines.are_several:
        return summary_text(measurements, width)
    parts = zip(machines.lines, machines.apart(measurements), strict=True)
    return "\n".join(
        f"MACHINE {machines.letter(runs[0])}: {line}\n{summary_text(runs, width)}" for line, runs in parts
    )


def answer_lines(subject: Subject) -> Iterator[str]:
    """Yield what faults do, then what each panel says about packing; of several machines with the machine."""
    measurements = [run.measurement for run in subject.runs]
    machines = Machines.of(measurements)
    for together in machines.apart(measurements):
        yield from (f"{machines.label(together[0])}{text}" for text in fault_answers(together))
    whole = panels(subject.runs, subject.precision, subject.is_cut_off)
    found = [stratum for panel in whole for stratum in panel.strata]
    yield from (f"{machines.label(panel.first)}{panel.title}: {answer(panel).text}" for panel in found)


def commands_of(runs: Iterable[tuple[Measurement, Path | None]]) -> list[str]:
    """Return what was typed for the sweeps of these runs, each once, where their sweep.json still tells."""
    places = dict.fromkeys((folder, m.sweep_id) for m, folder in runs if folder is not None)
    sweeps = [sweep for folder, sweep_id in places if (sweep := summary_of(folder, sweep_id)) is not None]
    return list(dict.fromkeys(sweep.command for sweep in sweeps if sweep.command))
