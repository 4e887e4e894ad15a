"""``python -m mps_experiments.sync FOLDER``: log records that MLflow has missed, once each.

A run is known by its record id, so calling this again logs nothing twice.
"""

import argparse
import json
import os
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from mps_experiments.config import EXPERIMENT_VARIABLE, TrackingConfig
from mps_experiments.disk import alone_in
from mps_experiments.errors import ConfigError, RecordError, TrackingError
from mps_experiments.mistaken import archive_hint
from mps_experiments.record import FILE_NAME, Measurement, find_measurements, read_measurement
from mps_experiments.resume import taken_over
from mps_experiments.summaries import precision_of
from mps_experiments.terminal import Parser, complain, run_and_exit
from mps_experiments.tracking.tracker import SweepInfo
from mps_experiments.tracking.variables import store_named_outside


def main(arguments: list[str] | None = None) -> int:
    """Log every record below the folders; 0 if all are in MLflow now, 1 if not, 2 for a user's mistake."""
    args = _parser().parse_args(arguments)
    damaged: list[str] = []
    try:
        found, damaged = _collect(args.folder)
        logged = _log(found, args)
        known = sum(len(records) for records in found.values()) - logged
    except (ConfigError, TrackingError) as error:
        complain(str(error))
        return 2 if isinstance(error, ConfigError) else 1
    finally:
        for text in damaged:
            complain(text)
    sys.stdout.write(f"logged {logged} records; {known} were in MLflow already\n")
    return 1 if damaged else 0


def entry_point() -> None:
    """The console script."""
    run_and_exit(main)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m mps_experiments.sync", description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="+", type=Path, help="a sweep's folder, a run's folder, or outputs/")
    parser.add_argument("--tracking-uri", help="MLflow address; default: the run's, or MLFLOW_TRACKING_URI")
    parser.add_argument(
        "--experiment", help="MLflow experiment; default: the one the run was configured with"
    )
    return parser


def _collect(folders: list[Path]) -> tuple[dict[str, list[tuple[Measurement, Path]]], list[str]]:
    """Records by sweep, each once (below outputs/ are also MLflow's copies), and what could not be read."""
    seen: set[str] = set()
    by_sweep: dict[str, list[tuple[Measurement, Path]]] = defaultdict(list)
    damaged: list[str] = []
    for folder in folders:
        paths = find_measurements(folder)
        if not paths:
            hint = archive_hint(folder) or f"no {FILE_NAME} below it; give a folder under outputs/"
            raise ConfigError("FOLDER", folder, hint)
        for path in paths:
            try:
                measurement = read_measurement(path)
            except RecordError as error:
                damaged.append(str(error))
                continue
            if measurement.record_id not in seen:
                seen.add(measurement.record_id)
                by_sweep[measurement.sweep_id].append((measurement, path.parent))
    return by_sweep, damaged


def _log(by_sweep: dict[str, list[tuple[Measurement, Path]]], args: argparse.Namespace) -> int:
    logged = 0
    for sweep_id, records in by_sweep.items():
        folder, summary = _summary([place for _, place in records], sweep_id)
        with alone_in(folder):  # two of these at once would each open a parent run
            logged += _log_sweep(sweep_id, records, summary, folder, args)
    return logged


def _log_sweep(
    sweep_id: str,
    records: list[tuple[Measurement, Path]],
    summary: dict[str, Any],
    folder: Path,
    args: argparse.Namespace,
) -> int:
    from mps_experiments.preflight import open_tracker
    from mps_experiments.reporting import sweep_report

    first, _ = records[0]
    stored = first.config.get("tracking", {})
    was_logged = stored.get("enabled", True)  # to where its configuration says; else nobody has said where
    tracking = TrackingConfig(
        uri=args.tracking_uri or stored.get("uri") or (None if was_logged else store_named_outside()),
        experiment=args.experiment
        or (was_logged and stored.get("experiment"))
        or os.environ.get(EXPERIMENT_VARIABLE)
        or TrackingConfig().experiment,
    )
    tracker = open_tracker(tracking, Path(str(first.config.get("output_dir", "outputs"))).absolute())
    tracker.start_sweep(
        SweepInfo(
            sweep_id=sweep_id,
            name=f"{first.cell.model} {_date(first)} (logged later)",
            command=str(summary.get("command", "unknown")),
            is_sweep=bool(summary),
        )
    )
    logged = sum(tracker.log_cell(each, place, each.was_interrupted) for each, place in records)
    resumed = list(taken_over(summary))
    for measurement, place in resumed:
        tracker.log_cell(measurement, place, measurement.was_interrupted)
    measurements = [measurement for measurement, _ in [*records, *resumed]]
    places = {measurement.record_id: place for measurement, place in [*records, *resumed]}
    command = str(summary.get("command", ""))
    kept_in = folder if logged and summary else None
    report = sweep_report(measurements, places, kept_in, command, precision_of(summary))
    tracker.finish_sweep(measurements, report, _status(summary, measurements))
    return logged


def _date(measurement: Measurement) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(measurement.started_at))


def _status(summary: dict[str, Any], measurements: list[Measurement]) -> str:
    """How the sweep ended; one that never said so was killed."""
    ended = summary.get("status", "KILLED")
    if ended == "RUNNING" or any(measurement.was_interrupted for measurement in measurements):
        return "KILLED"
    return str(ended)


def _summary(run_folders: list[Path], sweep_id: str) -> tuple[Path, dict[str, Any]]:
    """The sweep's folder and what sweep.json says there; empty for a run on its own, or if there is none."""
    above = dict.fromkeys(folder for each in run_folders for folder in (each.parent, each.parent.parent))
    for folder in above:  # a cell with trials has a folder for each of them
        for path in sorted(folder.glob("sweep*.json")):  # a folder that was used again holds several
            try:
                found = json.loads(path.read_bytes())
            except (OSError, ValueError):
                continue
            if isinstance(found, dict) and found.get("sweep_id") == sweep_id and found.get("is_sweep", True):
                return folder, found
    return run_folders[0].parent, {}


if __name__ == "__main__":
    entry_point()
