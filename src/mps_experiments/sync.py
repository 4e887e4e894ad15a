"""``python -m mps_experiments.sync FOLDER``: log records that MLflow has missed, once each.

A run is known by its record id, so calling this again logs nothing twice.
"""

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path

from mps_experiments.config import TrackingConfig
from mps_experiments.errors import ConfigError, RecordError, TrackingError
from mps_experiments.measurement.verdict import Status
from mps_experiments.record import FILE_NAME, Measurement, read_measurement
from mps_experiments.terminal import complain
from mps_experiments.tracking.tracker import SweepInfo


def main(arguments: list[str] | None = None) -> int:
    """Log every record below the folders; 0 if all are in MLflow now, 1 if not, 2 for a user's mistake."""
    args = _parser().parse_args(arguments)
    try:
        found, damaged = _collect(args.folder)
        logged = _log(found, args)
    except (ConfigError, TrackingError) as error:
        complain(str(error))
        return 2 if isinstance(error, ConfigError) else 1
    for text in damaged:
        complain(text)
    sys.stdout.write(f"{logged} records are in MLflow\n")
    return 1 if damaged else 0


def entry_point() -> None:
    """The console script."""
    sys.exit(main())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m mps_experiments.sync", description=__doc__.splitlines()[0]
    )
    parser.add_argument("folder", nargs="+", type=Path, help="a sweep's folder, a run's folder, or outputs/")
    parser.add_argument("--tracking-uri", help="MLflow address; default: the one the run was configured with")
    parser.add_argument(
        "--experiment", help="MLflow experiment; default: the one the run was configured with"
    )
    return parser


def _collect(folders: list[Path]) -> tuple[dict[str, list[tuple[Measurement, Path]]], list[str]]:
    """Records by sweep, and what could not be read."""
    by_sweep: dict[str, list[tuple[Measurement, Path]]] = defaultdict(list)
    damaged: list[str] = []
    for folder in folders:
        paths = sorted(folder.rglob(FILE_NAME))
        if not paths:
            raise ConfigError("FOLDER", folder, f"no {FILE_NAME} below it; give a folder under outputs/")
        for path in paths:
            try:
                measurement = read_measurement(path)
            except RecordError as error:
                damaged.append(str(error))
            else:
                by_sweep[measurement.sweep_id].append((measurement, path.parent))
    return by_sweep, damaged


def _log(by_sweep: dict[str, list[tuple[Measurement, Path]]], args: argparse.Namespace) -> int:
    from rich.console import Console

    from mps_experiments.report.tables import tables
    from mps_experiments.sweep import open_tracker

    logged = 0
    for sweep_id, records in by_sweep.items():
        first, folder = records[0]
        stored = first.config.get("tracking", {})
        tracking = TrackingConfig(
            uri=args.tracking_uri or stored.get("uri"),
            experiment=args.experiment or stored.get("experiment") or TrackingConfig().experiment,
        )
        tracker = open_tracker(tracking, Path(str(first.config.get("output_dir", "outputs"))).absolute())
        summary = _summary(folder.parent)
        tracker.start_sweep(
            SweepInfo(
                sweep_id=sweep_id,
                name=f"{first.cell.model} (logged later)",
                command=str(summary.get("command", "unknown")),
                is_sweep=summary.get("sweep_id") == sweep_id,
            )
        )
        measurements = [measurement for measurement, _ in records]
        for measurement, run_folder in records:
            tracker.log_cell(
                measurement, run_folder, interrupted="interrupted by" in measurement.verdict.reason
            )
        failed = any(m.verdict.status is Status.INVALID for m in measurements)
        console = Console(record=True, width=120, quiet=True)
        for table in tables(measurements):
            console.print(table)
        tracker.finish_sweep(measurements, console.export_text(), "FAILED" if failed else "FINISHED")
        logged += len(records)
    return logged


def _summary(folder: Path) -> dict[str, object]:
    try:
        loaded = json.loads((folder / "sweep.json").read_text())
    except (OSError, ValueError):
        return {}
    return loaded if isinstance(loaded, dict) else {}


if __name__ == "__main__":
    entry_point()
