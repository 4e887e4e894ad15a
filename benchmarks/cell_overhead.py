"""What a cell costs outside its measured window and its traced pass, against what its workers need at least.

python benchmarks/cell_overhead.py --workloads resnet50,maskrcnn,examples.huggingface_bert:build --procs 1,8

All of the time from the start of a cell to the start of the next one counts, whoever spent it. The critical
path is the slowest worker's: CUDA context, model, warm-up. Exits with 1 if a median ratio is above the limit.
"""

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from mps_experiments.record.measurement import Measurement, read_measurement

CHECKOUT = Path(__file__).parents[1]
WORKER_PHASES = ("context", "load", "warmup")
PHASES = (
    "environment",
    "workers",
    "afterwork",
    "proof",
    "outputs",
    "workers_teardown",
    "environment_teardown",
)
FIGURES = (
    *("critical_path", "outside", "ratio", "window", "traced_pass", *PHASES),
    *("edges", "record", "between", "beside", "rest"),
)


def run_sweep(workload: str, mps: str, procs: int, cells: int, folder: Path, more: list[str]) -> None:
    """One sweep of equal cells; only the seed differs, which changes nothing in the work."""
    seeds = ",".join(str(seed) for seed in range(cells))
    chosen = [f"workload={workload}"]
    if ":" in workload:
        chosen = ["workload=custom", f"workload.factory={workload}"]
    command = [
        *(sys.executable, "-m", "mps_experiments", "-m", *chosen, f"mps={mps}", f"procs={procs}", "times=10"),
        *("order=as_given", f"workload.seed={seeds}", f"output_dir={folder}"),
        *(f"hydra.sweep.dir={folder}/sweep", *more),
    ]
    subprocess.run(command, check=True, stdout=sys.stderr, cwd=CHECKOUT)


def splits_of(folder: Path) -> list[dict[str, float]]:
    """Where the time of each cell went, in seconds; not of the first, nor of the last, which none follows."""
    cells = json.loads((folder / "sweep" / "sweep.json").read_text())["cells"]
    records = [read_measurement(folder / "sweep" / cell["folder"] / "measurement.json") for cell in cells]
    pairs = zip(itertools.pairwise(records), cells, strict=False)
    return [split(record, following, cell) for (record, following), cell in pairs][1:]


def split(record: Measurement, following: Measurement, cell: dict[str, Any]) -> dict[str, float]:
    """One cell's seconds by what they were spent on.

    ``edges``: in the phase of the measured window, but not in the window; ``between``: from the record to the
    start of the next cell; ``beside``: in the next cell's afterwork, which counts only where it waits for it.
    """
    figures = record.statistics()
    if figures is None:
        raise SystemExit(f"{record.name}: {record.verdict.reason}")
    facts = [worker.facts for worker in record.workers if worker.facts is not None]
    critical_s = max(sum(each.phases_s.get(name, 0.0) for name in WORKER_PHASES) for each in facts)
    window_s, traced_s = figures.makespan_s, record.phases_s.get("traced_pass", 0.0)
    outside_s = following.started_at - record.started_at - window_s - traced_s
    found = {"critical_path": critical_s, "outside": outside_s, "ratio": outside_s / critical_s}
    found |= {"window": window_s, "traced_pass": traced_s}
    found |= {name: record.phases_s.get(name, 0.0) for name in PHASES}
    found |= {"record": cell["record_s"], "beside": cell["beside_next_run_s"]}
    found |= {"edges": record.phases_s["measured_window"] - window_s}
    found |= {"between": following.started_at - record.started_at - record.wall_s - cell["record_s"]}
    told = sum(found[name] for name in (*PHASES, "edges", "record", "between"))
    return found | {"rest": outside_s - told}


def _median_and_max(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({max(values):.2f})"


def main() -> int:
    """Run the sweeps, print a table of medians, and write all values as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workloads", default="resnet50,maskrcnn", help="options, or factories")
    parser.add_argument("--mps", default="off,on")
    parser.add_argument("--procs", default="1,8")
    parser.add_argument("--cells", type=int, default=5)
    parser.add_argument("--limit", type=float, default=1.5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("overrides", nargs="*", help="further options, for example workers.preload=[]")
    args = parser.parse_args()
    table = Table(title=f"seconds of a cell: median of cells 2 to {args.cells - 1} (max)")
    for name in ("workload", "mps", "procs", *FIGURES):
        table.add_column(name.replace("_", " "))
    values: dict[str, list[dict[str, float]]] = {}
    settings = itertools.product(
        args.workloads.split(","), args.mps.split(","), map(int, args.procs.split(","))
    )
    for workload, mps, procs in settings:
        with tempfile.TemporaryDirectory() as folder:
            run_sweep(workload, mps, procs, args.cells, Path(folder), args.overrides)
            cells = splits_of(Path(folder))
        values[f"{workload} mps={mps} procs={procs}"] = cells
        medians = [_median_and_max([cell[name] for cell in cells]) for name in FIGURES]
        table.add_row(workload, mps, str(procs), *medians)
    Console(width=220).print(table)
    if args.json:
        args.json.write_text(json.dumps(values, indent=1))
    worst = max(statistics.median(cell["ratio"] for cell in cells) for cells in values.values())
    return int(worst > args.limit)


if __name__ == "__main__":
    sys.exit(main())
