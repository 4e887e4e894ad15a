"""The report of a sweep, from what it left on disk; it may fail without costing anything else."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mps_experiments.config import TrackingConfig
from mps_experiments.errors import ConfigError, RecordError, TrackingError
from mps_experiments.pages.answer import answer
from mps_experiments.pages.panels import Panel, machine_line, panels
from mps_experiments.pages.report_page import Subject, description
from mps_experiments.pages.runs import ReportRun
from mps_experiments.pages.writing import WrittenReport, write_report
from mps_experiments.record import Measurement, read_measurement
from mps_experiments.report.explanation import explain
from mps_experiments.report.summary import summary_text
from mps_experiments.terminal import complain
from mps_experiments.tracking.tracker import SweepReport


def sweep_report(
    measurements: Sequence[Measurement], places: Mapping[str, Path], folder: Path | None, command: str
) -> SweepReport:
    """Write the report into the sweep's folder; without a folder only what MLflow shows is made.

    Args:
        measurements: All runs; their samples are read again from disk, one run at a time.
        places: Record id -> the folder that holds the record.
        folder: Where the report goes; None for no files.
        command: What was typed.
    """
    tables = summary_text(measurements)
    try:
        runs = tuple(_report_run(m, places.get(m.record_id)) for m in measurements)
        subject = Subject(runs=runs, commands=(command,))
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
            summary_text([run.measurement])
            explain(run.measurement, run.measurement)
        except Exception as error:  # whatever somebody's editor did to it
            what = f"{type(error).__name__}: {error}"
            problems.append(f"{measurement.name} ({folder}): the record contradicts itself ({what})")
        else:
            found.append(run)
    return found, problems


def answer_lines(subject: Subject) -> Iterator[str]:
    """What each panel says about packing; of several machines with the machine."""
    found = panels(subject.runs)
    several = len({machine_line(panel.first.machine) for panel in found}) > 1
    return (f"{panel.title}{_on(panel) if several else ''}: {answer(panel).text}" for panel in found)


def _on(panel: Panel) -> str:
    machine = panel.first.machine
    return f" on {machine.gpu.name if machine.gpu else 'the CPU'} of {machine.hostname}"


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
        for summary in _summaries(folder)
        if summary.get("sweep_id") in sweep_ids and summary.get("command")
    ]
    return list(dict.fromkeys(found))


def _summaries(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob("sweep*.json")):  # a folder that was used again holds several
        try:
            summary = json.loads(path.read_bytes())
        except (OSError, ValueError):
            continue
        if isinstance(summary, dict):
            yield summary


def attach(
    measurements: Sequence[Measurement], written: WrittenReport, tracking_uri: str | None, output_dir: Path
) -> str:
    """Put a report on the run of its sweep in MLflow; what became of it, in one line (empty: no such run).

    Args:
        measurements: The report's runs; those of several sweeps belong to no run.
        written: The report.
        tracking_uri: MLflow address; None for where the runs were logged.
        output_dir: Where the embedded store lies, if the runs do not say it.
    """
    if len({m.sweep_id for m in measurements}) != 1:
        return ""
    from mps_experiments.tracking.attaching import attach_report  # MLflow costs a second

    first = measurements[0]
    tracking = _where_logged(first.config, tracking_uri, output_dir)
    if tracking is None:
        return ""
    try:
        run_id = attach_report(tracking, first.sweep_id, written.description, written.files)
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


def _report_run(measurement: Measurement, folder: Path | None) -> ReportRun:
    """With its latencies if the record can be read again, under the name that it has in this sweep."""
    for whole in _records(folder):
        if whole.record_id == measurement.record_id:
            return ReportRun.of(whole, folder, name=measurement.name)
    return ReportRun.of(measurement, folder)


def _records(folder: Path | None) -> Iterator[Measurement]:
    for path in sorted(folder.glob("measurement*.json")) if folder else ():
        try:
            yield read_measurement(path)
        except RecordError:
            continue
