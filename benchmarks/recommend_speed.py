"""How long recommend takes to answer from stored records alone, as a process of its own.

PYTHONPATH=. python benchmarks/recommend_speed.py --blocks 20
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mps_experiments.config.schema import Config
from mps_experiments.machine.gpus import FixedProbe
from tests.sweep.recommend.stored_records import Cells, Truth

CHECKOUT = Path(__file__).parents[1]
CELLS = [
    *("workload=custom", "workload.factory=tests.fakes.moody:build", "device=cpu", "mps=off"),
    *("procs=1,2,3,4,5,6,7,8,9,10", "times=auto", "window_s=5"),
]


def truth(config: Config) -> Truth:
    """Up to four processes run beside each other."""
    return Truth(4.0 * max(1.0, config.procs / 4), iterations=800)


def main() -> None:
    """Make the records, then time the answer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--blocks", type=int, default=20)
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    paths = os.pathsep.join(map(str, (CHECKOUT / "src", CHECKOUT)))
    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        count = Cells.of(CELLS, FixedProbe()).store(Path(place) / "outputs", truth, args.blocks)
        for _ in range(args.runs):
            began, cpu = time.perf_counter(), os.times()
            command = [sys.executable, "-m", "mps_experiments.recommend", *CELLS, "tracking=none"]
            done = subprocess.run(
                command, check=True, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": paths}
            )
            seconds = time.perf_counter() - began
            assert f"runs: 0 measured, {count} stored" in done.stdout, done.stdout
            used = os.times()
            cpu_s = used.children_user + used.children_system - cpu.children_user - cpu.children_system
            print(f"{count} records: {seconds:.1f} s, of which {cpu_s:.1f} s of CPU time")


if __name__ == "__main__":
    main()
