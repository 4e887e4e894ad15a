"""What a cell costs outside its measured window, by phase, from the second cell of a sweep on.

python benchmarks/cell_overhead.py --workloads maskrcnn,resnet50 --start-methods forkserver,spawn --cells 4
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mps_experiments.record import read_measurement

COLUMNS = (
    "environment",
    "workers",
    "proof",
    "workers_teardown",
    "environment_teardown",
    "record_and_tracking",
)


def run_sweep(workload: str, start_method: str, mps: str, cells: int, procs: int, folder: Path) -> None:
    """One sweep of equal cells; only the seed differs, which changes nothing in the work."""
    seeds = ",".join(str(seed) for seed in range(cells))
    command = [
        *(sys.executable, "-m", "mps_experiments", "-m"),
        *(f"workload={workload}", f"workers.start_method={start_method}", f"mps={mps}", f"procs={procs}"),
        *("times=10", f"workload.seed={seeds}", f"output_dir={folder}", f"hydra.sweep.dir={folder}/sweep"),
    ]
    subprocess.run(command, check=True, stdout=sys.stderr)


def phases_of(folder: Path) -> list[dict[str, float]]:
    """Per cell after the first: seconds outside the window in all, and by phase."""
    found = []
    for cell in json.loads((folder / "sweep" / "sweep.json").read_text())["cells"][1:]:
        measurement = read_measurement(folder / "sweep" / cell["folder"] / "measurement.json")
        figures = measurement.statistics()
        if figures is None:
            raise SystemExit(f"{measurement.name}: {measurement.verdict.reason}")
        phases = {name: measurement.phases_s.get(name, 0.0) for name in COLUMNS}
        phases["record_and_tracking"] = cell["record_and_tracking_s"]
        found.append({"total": cell["total_s"] - figures.makespan_s, **phases})
    return found


def _median_and_max(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({max(values):.2f})"


def main() -> None:
    """Run the sweeps, print a table of medians, and write all values as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workloads", default="maskrcnn,resnet50")
    parser.add_argument("--start-methods", default="forkserver,spawn")
    parser.add_argument("--mps", default="off,on")
    parser.add_argument("--procs", type=int, default=2)
    parser.add_argument("--cells", type=int, default=4)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    table = Table(
        title=f"seconds outside the measured window, {args.procs} workers, median of cells 2 to N (max)"
    )
    for name in ("workload", "start method", "mps", "total", *COLUMNS):
        table.add_column(name.replace("_", " "))
    values: dict[str, list[dict[str, float]]] = {}
    for workload in args.workloads.split(","):
        for start_method in args.start_methods.split(","):
            for mps in args.mps.split(","):
                with tempfile.TemporaryDirectory() as folder:
                    run_sweep(workload, start_method, mps, args.cells, args.procs, Path(folder))
                    cells = phases_of(Path(folder))
                values[f"{workload} {start_method} {mps}"] = cells
                medians = [_median_and_max([cell[name] for cell in cells]) for name in ("total", *COLUMNS)]
                table.add_row(workload, start_method, mps, *medians)
    Console(width=160).print(table)
    if args.json:
        args.json.write_text(json.dumps(values, indent=1))


if __name__ == "__main__":
    main()
