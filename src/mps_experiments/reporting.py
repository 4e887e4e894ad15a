"""The report of a sweep, from what it left on disk; it may fail without costing anything else."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mps_experiments.config import TrackingConfig
from mps_experiments.errors import ConfigError, TrackingError
from mps_experiments.pages.answer import answer
from mps_experiments.pages.machines import Machines
from mps_experiments.pages.panels import panels
from mps_experiments.pages.report_page import Subject, description, report_page
from mps_experiments.pages.runs import ReportRun
from mps_experiments.pages.soundness import contradiction
from mps_experiments.pages.writing import WrittenReport, write_report
from mps_experiments.record import Measurement
from mps_experiments.report.explanation import explain
from mps_experiments.report.summary import summary_text
from mps_experiments.summaries import NAME, read_summary, summaries_in
from mps_experiments.terminal import complain
from mps_experiments.tracking.tracker import SweepReport


def sweep_report(
    measurements: Sequence[Measurement],
    places: Mapping[str, Path],
    folder: Path | None,
    command: str,
    precision: float = 0.0,
) -> SweepReport:
    """Write the report into the sweep's folder; without a folder only what MLflow shows is made.

    Args:
        measurements: All runs.
        places: Record id -> the folder that holds the record.
        folder: Where the report goes; None for no files.
        command: What was typed.
        precision: The sweep's own goal, whatever the records that it took over say; 0 for none.
    """
    tables = summary_text(measurements)
    try:
        runs = tuple(ReportRun.of(m, places.get(m.record_id)) for m in measurements)
        subject = Subject(runs=runs, commands=(command,), precision=precision)
        said = tuple(answer_lines(subject))
        if folder is None:
            words = description(subject, has_page=False)
            return SweepReport(tables=tables, answers=said, description=words)
        written = write_report(subject, folder)
        return SweepReport(tables=tables, answers=said, description=written.description, files=written.files)
    except Exception as error:
        complain(f"the report could not be made ({type(error).__name__}: {error}); the records are complete")
        return SweepReport(tables=tables, description=f"```\n{tables}\n```")


def sound_runs(runs: Iterable[tuple[Measurement, Path | None]]) -> tuple[list[ReportRun], list[str]]:
    """The runs of which figures can be made, and why not of each other: its record contradicts itself."""
    found, problems = [], []
    for measurement, folder in runs:
        try:
            run = ReportRun.of(measurement, folder)
            report_page(Subject(runs=(run,)))
            explain(run.measurement, run.measurement)
            problem = contradiction(measurement)
        except Exception as error:  # whatever somebody's editor did to it
            problem = f"{type(error).__name__}: {error}"
        if problem:
            problems.append(f"{measurement.name} ({folder}): the record contradicts itself ({problem})")
        else:
            found.append(run)
    return found, problems


def tables_by_machine(measurements: Sequence[Measurement]) -> str:
    """Tables and causes as text; of several machines each by itself, after its line."""
    machines = Machines.of(measurements)
    if not machines.are_several:
        return summary_text(measurements)
    parts = zip(machines.lines, machines.apart(measurements), strict=True)
    return "\n".join(f"MACHINE {machines.letter(m[0])}: {line}\n{summary_text(m)}" for line, m in parts)


def answer_lines(subject: Subject) -> Iterator[str]:
    """What each panel says about packing; of several machines with the machine."""
    machines = Machines.of(run.measurement for run in subject.runs)
    found = [stratum for panel in panels(subject.runs, subject.precision) for stratum in panel.strata]
    return (f"{machines.label(panel.first)}{panel.title}: {answer(panel).text}" for panel in found)


def commands_of(runs: Iterable[tuple[Measurement, Path | None]]) -> list[str]:
    """What was typed for the sweeps of these runs, each once, where their sweep.json still tells."""
    folders: dict[Path, set[str]] = {}
    for measurement, folder in runs:
        above = (folder, *folder.parents[:2]) if folder is not None else ()  # a trial is two folders deep
        for each in above:
            folders.setdefault(each, set()).add(measurement.sweep_id)
    found = [
        str(summary["command"])
        for folder, sweep_ids in folders.items()
        for summary in summaries_in(folder)
        if summary.get("sweep_id") in sweep_ids and summary.get("command")
    ]
    return list(dict.fromkeys(found))


def lacking(folder: Path, measurements: Sequence[Measurement]) -> int:
    """How many runs of the sweep in a folder are not among these."""
    known = {m.record_id for m in measurements}
    cells = read_summary(folder / NAME).get("cells", [])
    return sum("record_id" in cell and cell["record_id"] not in known for cell in cells)


def attach(
    measurements: Sequence[Measurement],
    sweep_id: str,
    written: WrittenReport,
    tracking_uri: str | None,
    output_dir: Path,
) -> str:
    """Put a report on the run of its sweep in MLflow; what became of it, in one line (empty: no such run).

    Args:
        measurements: The report's runs; without some that MLflow has of the sweep it is not put there.
        sweep_id: The sweep.
        written: The report.
        tracking_uri: MLflow address; None for where the runs were logged.
        output_dir: Where the embedded store lies, if the runs do not say it.
    """
    from mps_experiments.tracking.attaching import attach_report  # MLflow costs a second

    config = next((m.config for m in measurements if m.sweep_id == sweep_id), measurements[0].config)
    tracking = _where_logged(config, tracking_uri, output_dir)
    if tracking is None:
        return ""
    record_ids = {m.record_id for m in measurements}
    try:
        run_id = attach_report(tracking, sweep_id, record_ids, written.description, written.files)
    except (ConfigError, TrackingError) as error:
        return f"MLflow does not have it: {error}"
    return f"MLflow: run {run_id}" if run_id else ""


def _where_logged(
    config: Mapping[str, Any], tracking_uri: str | None, output_dir: Path
) -> TrackingConfig | None:
    """As a run's configuration says; None if it was not logged. A damaged one says nothing."""
    logged = config.get("tracking")
    stored = logged if isinstance(logged, dict) else {}
    if tracking_uri is None and stored.get("enabled") is False:
        return None
    places = (Path(str(config.get("output_dir") or output_dir)), output_dir)  # the folder may have moved
    stores = [place.expanduser().absolute() / "mlflow.db" for place in places]
    store = next((path for path in stores if path.is_file()), stores[-1])
    return TrackingConfig(
        uri=tracking_uri or str(stored.get("uri") or f"sqlite:///{store}"),
        experiment=str(stored.get("experiment") or TrackingConfig().experiment),
    )
