"""How long the report of a large sweep takes, and how large its page is.

python benchmarks/report_speed.py --records 200 --iterations 400
"""

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from mps_experiments.record.measurement import Measurement, read_measurement, write_measurement

PATTERN = Path(__file__).parents[1] / "docs/results/2026-11-23-h100-why/packing"


def stretched(run: Measurement, name: str, repeat: int, iterations: int) -> Measurement:
    """A record of an H100 as another repeat, its workers with as many iterations, all a little different."""
    rng = np.random.default_rng(repeat)
    workers = []
    for like in run.workers:
        assert like.samples is not None
        latencies_ns = like.samples.latencies_ns
        median_ns = np.median(latencies_ns) * len(latencies_ns) / iterations  # it stays as long a run
        drawn_ns = rng.lognormal(np.log(median_ns), 0.1, iterations)
        samples = replace(like.samples, latencies_ns=tuple(map(int, drawn_ns)))
        workers.append(replace(like, samples=samples))
    return replace(
        run,
        record_id=f"{run.record_id}-{name}",
        name=name,
        cell=run.cell.moved(times=iterations, repeat=repeat),
        workers=tuple(workers),
    )


def write_records(folder: Path, count: int, iterations: int) -> None:
    """Records of 1, 2, 4 and 8 workers (on average 3.75) without and with MPS, as many repeats as needed."""
    patterns = [read_measurement(path) for path in sorted(PATTERN.glob("*repeat=0.json"))]
    for number in range(count):
        run, repeat = patterns[number % len(patterns)], number // len(patterns)
        name = f"mps={run.cell.mps} procs={run.cell.procs} times={iterations} repeat={repeat}"
        write_measurement(stretched(run, name, repeat, iterations), folder / str(number) / "measurement.json")


def report_of(folder: Path) -> tuple[float, int]:
    """Seconds of the command as a process of its own, and bytes of its page."""
    out = folder / "report"
    command = [sys.executable, "-m", "mps_experiments.report", str(folder / "records")]
    began = time.perf_counter()
    subprocess.run(
        [*command, "--out", str(out), "--no-mlflow"], check=True, stdout=subprocess.DEVNULL, cwd=folder
    )
    return time.perf_counter() - began, (out / "report.html").stat().st_size


def main() -> None:
    """Make the records, then time the report of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=200)
    parser.add_argument("--iterations", type=int, default=400)
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_records(folder / "records", args.records, args.iterations)
        for _ in range(args.runs):
            seconds, size = report_of(folder)
            what = f"{args.records} records, {args.iterations} iterations per worker"
            print(f"{what}: {seconds:.1f} s, page {size / 2**20:.2f} MiB")


if __name__ == "__main__":
    main()
