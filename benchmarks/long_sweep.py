"""Does the parent of a long sweep grow? Memory, descriptors, threads, zombies and /dev/shm after each cell.

python benchmarks/long_sweep.py --cells 500 --json long_sweep.json
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

WORKLOAD = '''"""A model that does nothing, but stands still in its window until it has been seen."""
import itertools
import pathlib
import time


def build(device, options):
    here, calls = pathlib.Path(options["here"]), itertools.count()

    def model(value):
        if next(calls) == 5:
            here.touch()
            while here.exists():
                time.sleep(0.005)
        return value + 1

    return model, 0
'''
SETTLED_S = 0.1  # after which the parent has looked at its workers, and waits, unless the machine is busy
LOOKS, BETWEEN_S = 5, 0.03
COUNTED = ("fds", "threads", "children", "zombies", "shared_memory")
MEMORY = ("rss_kib", "uss_kib")


def least(parent: psutil.Process) -> dict[str, int]:
    """The least that the parent has in several looks: some of them have what it only opens in passing."""
    looks = []
    for _ in range(LOOKS):
        looks.append(sample(parent))
        time.sleep(BETWEEN_S)
    return {name: min(each[name] for each in looks) for name in looks[0]}


def sample(parent: psutil.Process) -> dict[str, int]:
    """What the parent has now, seen from outside."""
    memory, children = parent.memory_full_info(), parent.children(recursive=True)
    return {
        "rss_kib": memory.rss // 1024,
        "uss_kib": memory.uss // 1024,
        "fds": parent.num_fds(),
        "threads": parent.num_threads(),
        "children": len(children),
        "zombies": sum(_is_zombie(child) for child in children),
        "shared_memory": len(os.listdir("/dev/shm")),  # noqa: S108, PTH208 - counted, not used
    }


def _is_zombie(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def run_sweep(folder: Path, cells: int, arguments: list[str]) -> list[dict[str, int]]:
    """One sweep of equal cells; a sample in the window of each, when the one before is wholly done."""
    (folder / "does_nothing.py").write_text(WORKLOAD)
    command = [
        # The first one runs twice.
        *(sys.executable, "-m", "mps_experiments", "-m", f"repeat=range(0,{cells - 1})"),
        *("workload=custom", "workload.factory=does_nothing:build", "device=cpu", "mps=off", "times=20"),
        *("workers.warmup=2", f"+workload.options.here={folder / 'here'}"),
        *(f"output_dir={folder / 'outputs'}", *arguments),
    ]
    found, here = list[dict[str, int]](), folder / "here"
    runner = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    try:
        parent = psutil.Process(runner.pid)
        while runner.poll() is None:
            time.sleep(0.01)
            if here.exists():
                time.sleep(SETTLED_S)
                found.append(least(parent))
                here.unlink()
        if runner.returncode != 0:
            print(f"the sweep ended with {runner.returncode}", file=sys.stderr)
    finally:
        runner.kill()
        runner.communicate()
    return found


def summarise(samples: list[dict[str, int]]) -> dict[str, dict[str, float]]:
    """For each figure the mean of the first and the last tenth, and the slope per cell of a straight line."""
    tenth = max(1, len(samples) // 10)
    summary = {}
    for name in (*MEMORY, *COUNTED):
        values = [each[name] for each in samples]
        summary[name] = {
            "first_tenth": statistics.mean(values[:tenth]),
            "last_tenth": statistics.mean(values[-tenth:]),
            "slope_per_cell": statistics.linear_regression(range(len(values)), values).slope,
            # What starting up costs once is over by then.
            "slope_of_second_half": statistics.linear_regression(
                range(len(values) - len(values) // 2), values[len(values) // 2 :]
            ).slope,
        }
    return summary


def main() -> None:
    """Run the sweep, print a table, and write all samples as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=500)
    parser.add_argument("--json", type=Path)
    parser.add_argument(
        "overrides", nargs="*", help="further options of the sweep, for example tracking=none"
    )
    args = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        samples = run_sweep(Path(folder), args.cells, args.overrides)
    summary: dict[str, Any] = summarise(samples)
    print(f"{len(samples)} cells in {time.monotonic() - started:.0f} s")
    print(f"{'':14}{'first 10 %':>12}{'last 10 %':>12}{'per cell':>12}{'2nd half':>12}")
    for name, figures in summary.items():
        print(f"{name:14}" + "".join(f"{value:12.2f}" for value in figures.values()))
    if args.json:
        args.json.write_text(json.dumps({"summary": summary, "samples": samples}, indent=1))


if __name__ == "__main__":
    main()
