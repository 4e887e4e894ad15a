"""What the evidence costs: the measured window with and without it, and the time it takes outside, in turns.

python benchmarks/evidence_cost.py --workload resnet50 --times 300 --procs 2 --repeats 6
"""

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mps_experiments.analysis.estimates import change_interval
from mps_experiments.record.measurement import Measurement, find_measurements, read_measurement

PHASES = ("outputs", "traced_pass")
VARIANTS = {
    "nothing": ("0", "0"),
    "telemetry": ("0", "0.1"),
    "traced pass": ("3", "0"),
    "both": ("3", "0.1"),
}


def run_sweep(args: argparse.Namespace, folder: Path) -> list[Measurement]:
    """All variants within each repeat, so that the host's drift hits all of them."""
    repeats = ",".join(map(str, range(args.repeats)))
    command = [
        *(sys.executable, "-m", "mps_experiments", "-m", f"repeat={repeats}"),
        *("trace.iterations=0,3", "telemetry.interval_s=0,0.1", f"mps={args.mps}", f"procs={args.procs}"),
        *(f"workload={args.workload}", f"times={args.times}"),
        *("tracking=none", f"output_dir={folder}", f"hydra.sweep.dir={folder}/sweep"),
    ]
    subprocess.run(command, check=True, stdout=sys.stderr)
    return [read_measurement(path) for path in find_measurements(folder)]


def variant_of(measurement: Measurement) -> str:
    """Which evidence this run gathered."""
    traced = str(measurement.config["trace"]["iterations"])
    interval = f"{measurement.config['telemetry']['interval_s']:g}"
    return next(name for name, values in VARIANTS.items() if values == (traced, interval))


def main() -> None:
    """Run the sweep and print a line per variant."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workload", default="resnet50")
    parser.add_argument("--times", type=int, default=300)
    parser.add_argument("--procs", type=int, default=2)
    parser.add_argument("--mps", default="on")
    parser.add_argument("--repeats", type=int, default=6, help="at least 2")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measurements = run_sweep(args, Path(folder))
    makespans: dict[str, list[float]] = {name: [] for name in VARIANTS}
    phases: dict[str, list[dict[str, float]]] = {name: [] for name in VARIANTS}
    for measurement in sorted(measurements, key=lambda each: each.started_at):
        figures = measurement.statistics()
        if figures is None:
            raise SystemExit(f"{measurement.name}: {measurement.verdict.reason}")
        makespans[variant_of(measurement)].append(figures.makespan_s)
        phases[variant_of(measurement)].append(
            {name: measurement.phases_s.get(name, 0.0) for name in PHASES}
            | {"total": measurement.overhead_s() or 0.0}
        )
    show(args, makespans, phases)
    if args.json:
        args.json.write_text(json.dumps({"makespans_s": makespans, "phases_s": phases}, indent=1))


def show(
    args: argparse.Namespace, makespans: dict[str, list[float]], phases: dict[str, list[dict[str, float]]]
) -> None:
    """The table: the window, its ratio to that without evidence, seconds outside it from the second on."""
    table = Table(title=f"{args.workload} procs={args.procs} mps={args.mps} times={args.times}, medians")
    for name in (
        "evidence",
        "makespan s (min to max)",
        "ratio of geometric means [95 %]",
        "outside the window s",
        *PHASES,
    ):
        table.add_column(name)
    without = [math.log(value) for value in makespans["nothing"]]
    for name, values in makespans.items():
        logs = [math.log(value) for value in values]
        low, high = change_interval(logs, without)
        ratio = math.exp(statistics.fmean(logs) - statistics.fmean(without))
        later = phases[name][1:]
        table.add_row(
            name,
            f"{statistics.median(values):.3f} ({min(values):.3f} to {max(values):.3f})",
            f"{ratio:.3f} [{low:.3f}, {high:.3f}]",
            *(f"{statistics.median(each[phase] for each in later):.2f}" for phase in ("total", *PHASES)),
        )
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
