"""``python -m mps_experiments.sync [FOLDER ...]``: log records that MLflow has missed, once each.

A run is known by its record id, so calling this again logs nothing twice.
"""

import argparse
import os
import sys
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mps_experiments.analysis.numbers import moment
from mps_experiments.config.places import exists
from mps_experiments.config.schema import EXPERIMENT_VARIABLE, TrackingConfig
from mps_experiments.errors import ConfigError, RecordError
from mps_experiments.record.disk import alone_in
from mps_experiments.record.measurement import FILE_NAME, Measurement
from mps_experiments.record.summaries import COPIES, NAME, Summary, records_below, summaries_below, summary_of
from mps_experiments.report.command_line import Parser, as_command
from mps_experiments.report.terminal import complain
from mps_experiments.sweep.ledger import Ledger
from mps_experiments.sweep.lookup import add_output_dir, archive_hint, last_sweep, none_readable
from mps_experiments.sweep.preflight import new_tracker
from mps_experiments.sweep.reporting import sweep_report
from mps_experiments.tracking.addresses import own_database, store_named_outside
from mps_experiments.tracking.tracker import SweepInfo

_MAX_NAMES = 5


@dataclass
class _Sweep:
    """Runs that are logged together.

    Attributes:
        summary: What its sweep.json says; None for a run on its own, or if there is none.
        is_named: Whether its own folder was given, or that of one of its runs.
        own: Record id -> the record, and the folder that holds it.
    """

    summary: Summary | None
    is_named: bool = False
    own: dict[str, tuple[Measurement, Path]] = field(default_factory=dict)

    def records(self) -> list[tuple[Measurement, Path]]:
        """Return its own records and those that it took over."""
        return [*self.own.values(), *(self.summary.records_taken_over() if self.summary else ())]

    def others(self, found: Collection[str]) -> Iterator[tuple[Measurement, Path]]:
        """Yield the records of its sweep that were not named: what is said of the sweep is said of all."""
        if self.summary is not None and self.summary.is_sweep and self.summary.lacking(found):
            for measurement, path in records_below(self.summary.at, []):
                if measurement.sweep_id == self.summary.sweep_id and measurement.record_id not in found:
                    yield measurement, path.parent


@as_command
def main(arguments: list[str] | None = None) -> int:
    """Log every record below the folders; 0 if all are in MLflow now, 1 if not, 2 for a user's mistake."""
    args = _parser().parse_args(arguments)
    sweeps: dict[str, _Sweep] = {}
    whole: dict[str, Summary] = {}
    amiss: list[str] = []
    found, logged, known, skipped = set[str](), set[str](), set[str](), set[str]()
    is_complete = True
    try:
        for folder in args.folder or [last_sweep(args.output_dir)]:
            amiss += _collect(folder, bool(args.folder), sweeps, whole)
        for sweep_id, sweep in sweeps.items():
            records = sweep.records()
            ids = {measurement.record_id for measurement, _ in records}
            found |= ids
            is_tracked = all(_tracking_of(first).get("enabled", True) for first, _ in records[:1])
            if not sweep.is_named and not is_tracked:
                skipped |= ids
                continue
            if sweep.summary is not None and sweep.summary.is_under_way:
                what = (
                    "and logs its runs itself" if is_tracked else "without MLflow; log it once it has ended"
                )
                sys.stdout.write(f"{sweep.summary.at}: its sweep is under way {what}\n")
                continue
            try:
                ledger = _log(sweep_id, sweep, records, args)
            except RecordError as error:
                complain(f"{error} (tracking.timeout_s); once the other sync has ended, call this again")
                is_complete = False
                continue
            logged |= ledger.logged
            known |= ids
            is_complete = is_complete and ledger.tracking_problem is None
        amiss += _lacking(whole.values(), found)
    finally:
        for text in amiss:
            complain(text)
    if is_complete:
        # Each counts once, though a sweep may have taken it over from another one.
        sys.stdout.write(f"logged {len(logged)} records; already in MLflow: {len(known - logged)}\n")
    if left := len(skipped - known):
        sys.stdout.write(f"skipped {left} records of tracking=none; name their sweep's folder to log them\n")
    return 1 if amiss or not is_complete else 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m mps_experiments.sync",
        description="Log records that MLflow has missed, once each. Those of tracking=none are logged only "
        "if their sweep's or run's own folder is named.",
    )
    parser.add_argument(
        "folder",
        nargs="*",
        type=Path,
        help="a sweep's or a run's folder, or outputs/; default: the last sweep",
    )
    add_output_dir(parser)
    parser.add_argument(
        *("--tracking-uri", "--tracking.uri"),
        help="MLflow address; default: the run's, or MLFLOW_TRACKING_URI",
    )
    parser.add_argument(
        *("--experiment", "--tracking.experiment"),
        help="MLflow experiment; default: the one the run was configured with",
    )
    return parser


def _collect(folder: Path, is_given: bool, sweeps: dict[str, _Sweep], whole: dict[str, Summary]) -> list[str]:
    """Add the records below a folder to their sweeps, and the sweeps below it to the whole ones.

    Returns:
        Why others could not be read.
    """
    if not exists(folder):
        raise ConfigError("FOLDER", folder, "no such file or folder; give a folder under outputs/")
    is_named = is_given and any((folder / name).is_file() for name in (NAME, FILE_NAME))
    below = {each.sweep_id: each for each in summaries_below(folder)}
    whole |= below
    taken_over = {cell.record_id for each in below.values() for cell in each.taken_over}
    damaged: list[str] = []
    records = list(records_below(folder, damaged))
    if folder.is_file():
        hint = archive_hint(folder) or "is a file; give the folder that holds it"
        raise ConfigError("FOLDER", folder, hint)
    if not (records or damaged or taken_over or any(each.is_under_way for each in below.values())):
        raise ConfigError("FOLDER", folder, f"no {FILE_NAME} below it; give a folder under outputs/")
    if damaged and not (records or taken_over):
        raise ConfigError("FOLDER", folder, none_readable(damaged))
    for measurement, path in records:
        sweep_id, record_id = measurement.sweep_id, measurement.record_id
        if record_id in taken_over and sweep_id not in below:
            continue  # linked here by the sweep that took it over
        summary = below.get(sweep_id) or summary_of(path.parent, sweep_id)
        sweep = sweeps.setdefault(sweep_id, _Sweep(summary))
        sweep.is_named |= is_named
        sweep.own.setdefault(record_id, (measurement, path.parent))
    for sweep_id, summary in below.items():
        if summary.is_under_way or any(summary.records_taken_over()):
            sweeps.setdefault(sweep_id, _Sweep(summary)).is_named |= is_named
    return damaged


def _lacking(whole: Iterable[Summary], found: Collection[str]) -> Iterator[str]:
    """Say of each whole sweep which of its records are gone."""
    for summary in whole:
        if gone := summary.lacking(found):
            names = ", ".join([*gone[:_MAX_NAMES], *(["..."] if gone[_MAX_NAMES:] else [])])
            what = f"{len(gone)} of {len(summary.cells)} runs of its {NAME} have no record that can be read"
            yield f"{summary.at}: {what}: {names}"


def _log(
    sweep_id: str, sweep: _Sweep, records: list[tuple[Measurement, Path]], args: argparse.Namespace
) -> Ledger:
    """Log a sweep's records as the sweep itself does."""
    first, place = records[0]
    summary = sweep.summary if sweep.summary is not None and sweep.summary.is_sweep else None
    command = summary.command if summary is not None else ""
    tracking = _where(first, args)
    tracker = new_tracker(tracking, _output_dir(first, place))
    tracker.open()
    named = summary.name if summary is not None else ""
    info = SweepInfo(
        sweep_id=sweep_id,
        name=f"{named or f'{first.cell.model} {moment(first.started_at)}'} (logged later)",
        command=command or "unknown",
        is_sweep=summary is not None,
    )
    ledger = Ledger(info, tracker)
    folder = summary.at if summary is not None else place.parent  # a run's own is for its logging
    with alone_in(folder, tracking.timeout_s):
        ledger.start()
        for measurement, run_folder in records:
            ledger.take_over(measurement, run_folder, measurement.name)
        for measurement, run_folder in sweep.others({measurement.record_id for measurement, _ in records}):
            ledger.compare_with(measurement, run_folder)
        ledger.log()
        kept_in = summary.at if ledger.logged and summary is not None else None
        goal, decided = (summary.precision, summary.decided) if summary is not None else (0.0, ())
        report = sweep_report(ledger.measurements, ledger.places, kept_in, command, goal, decided)
        ledger.finish(report, _status(summary, ledger.measurements))
    return ledger


def _output_dir(first: Measurement, place: Path) -> Path:
    """Return the output directory of a run; one that was moved is where the run's folder is now."""
    recorded = Path(str(first.config.get("output_dir", "outputs"))).absolute()
    with_store = (
        above
        for above in place.absolute().parents
        if own_database(above).exists() and (above / COPIES).is_dir()  # a database of MLflow may be anybody's
    )
    return next(with_store, recorded)


def _where(first: Measurement, args: argparse.Namespace) -> TrackingConfig:
    """Return where a run's configuration says; one of tracking=none says nothing."""
    tracking = _tracking_of(first)
    was_logged = tracking.get("enabled", True)
    told = tracking if was_logged else {}
    return TrackingConfig(
        uri=args.tracking_uri or told.get("uri") or (None if was_logged else store_named_outside()),
        experiment=args.experiment
        or told.get("experiment")
        or os.environ.get(EXPERIMENT_VARIABLE)
        or TrackingConfig().experiment,
        timeout_s=told.get("timeout_s", TrackingConfig().timeout_s),
    )


def _tracking_of(measurement: Measurement) -> dict[str, Any]:
    return dict(measurement.config.get("tracking", {}))


def _status(summary: Summary | None, measurements: list[Measurement]) -> str:
    """Return how the sweep ended; one that never said so was killed."""
    if summary is None or summary.status == "RUNNING" or any(m.was_interrupted for m in measurements):
        return "KILLED"
    return summary.status
