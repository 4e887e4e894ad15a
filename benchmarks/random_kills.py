"""SIGKILL to the runner at random moments of a sweep: is anything left, and does the next sweep start clean?

``python benchmarks/random_kills.py --count 50`` on a GPU; with ``--stand-in`` on the CPU, where programs of
``tests/fakes`` stand in for MPS. Everything that the runner starts inherits a mark in its environment, by
which it is found again, whoever its parent is then.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from mps_experiments.machine.gpus import open_probe

CHECKOUT = Path(__file__).parents[1]
MARK = "RANDOM_KILLS_MARK"
ALLOWED_S = 5.0
STAYS = ("outputs", "locks", "torchinductor_")  # records, the stand-in's GPU locks, PyTorch's own cache
LENIENT = ["validity.foreign_daemon_invalid=false"]  # a test session's may be there; no number counts
SWEEP_LIMIT_S = 300.0
LOOK_AGAIN_S = 0.05


@dataclass(frozen=True)
class Kill:
    """One kill: when, and how long it took until nothing was left; None if something still was after 5 s."""

    after_s: float
    clean_after_s: float | None
    left: tuple[str, ...]


@dataclass
class Range:
    """Where the sweeps run: a temporary folder of their own, so that every file in it is theirs."""

    temporary: Path
    stand_in: bool

    def start(self, mark: str) -> subprocess.Popen[bytes]:
        """A sweep of one cell with MPS and one without, two workers each."""
        if self.stand_in:
            program = [str(CHECKOUT / "tests" / "fakes" / "cli_runner.py")]
            workload = ["workload=custom", "workload.factory=tests.fakes.attaching:build"]
            workload += ["workload.options={sleep_s: 0.02}"]
        else:
            program, workload = ["-m", "mps_experiments"], ["workload=resnet50"]
        paths = os.pathsep.join([str(CHECKOUT / "src"), str(CHECKOUT), *filter(None, sys.path)])
        environment = os.environ | {"TMPDIR": str(self.temporary), "PYTHONPATH": paths, MARK: mark}
        if self.stand_in:
            environment["PATH"] = os.pathsep.join([str(CHECKOUT / "tests/fakes/bin"), os.environ["PATH"]])
        arguments = ["-m", "mps=on,off", "procs=2", "times=40", f"output_dir={self.temporary / 'outputs'}"]
        return subprocess.Popen(
            [sys.executable, *program, *arguments, *workload, *LENIENT, "gpu_wait_s=30", "tracking=none"],
            cwd=CHECKOUT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    def left(self, mark: str, memory_before: int | None) -> tuple[str, ...]:
        """What there still is of the sweep with this mark, in words."""
        found = marked(mark)
        found += [str(path) for path in self.temporary.iterdir() if not path.name.startswith(STAYS)]
        memory = device_memory()
        if memory is not None and memory_before is not None and memory > memory_before:
            found.append(f"{(memory - memory_before) / 2**20:.0f} MiB of device memory")
        return tuple(found)

    def kill_once(self, after_s: float) -> Kill:
        """Start a sweep, kill its runner after so many seconds, and wait until nothing is left."""
        memory, mark = device_memory(), uuid.uuid4().hex
        runner = self.start(mark)
        time.sleep(after_s)
        runner.send_signal(signal.SIGKILL)
        killed = time.monotonic()
        runner.wait()
        while left := self.left(mark, memory):
            if time.monotonic() - killed > ALLOWED_S:
                return Kill(after_s=after_s, clean_after_s=None, left=left)
            time.sleep(LOOK_AGAIN_S)
        clean_after_s = time.monotonic() - killed
        runner.communicate()
        return Kill(after_s=after_s, clean_after_s=clean_after_s, left=())

    def whole_sweep_s(self) -> float:
        """Seconds of a sweep that is left alone; raises RuntimeError if it does not end with exit code 0."""
        started = time.monotonic()
        runner = self.start(uuid.uuid4().hex)
        _, said = runner.communicate(timeout=SWEEP_LIMIT_S)
        if runner.returncode != 0:
            raise RuntimeError(f"a sweep that was left alone ended with {runner.returncode}: {said.decode()}")
        return time.monotonic() - started


def marked(mark: str) -> list[str]:
    """Living processes that inherited the mark, in words."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):  # it ended while it was looked at
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(f"process {process.pid} {' '.join(process.cmdline())[:80]}")
    return found


def device_memory() -> int | None:
    """Device memory in use on the first GPU, in bytes; None without one."""
    with open_probe() as probe:
        gpus = probe.gpus()
        return probe.memory_used_bytes(gpus[0].uuid) if gpus else None


def random_kills(count: int, seed: int, stand_in: bool, limit_s: float) -> tuple[float, list[Kill]]:
    """Seconds of a whole sweep, and the kills, at moments evenly drawn from it; then a sweep left alone.

    Raises:
        RuntimeError: If a sweep that is left alone fails, before or after the kills.
    """
    moments = random.Random(seed)  # noqa: S311 - not for secrets
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mpsk-", dir="/tmp") as folder:
        place = Range(Path(folder), stand_in)
        place.whole_sweep_s()  # the first reads everything from a cold disk
        whole_s = place.whole_sweep_s()
        kills: list[Kill] = []
        while len(kills) < count and time.monotonic() - started < limit_s:
            kills.append(place.kill_once(moments.uniform(0, whole_s)))
        place.whole_sweep_s()
    return whole_s, kills


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stand-in", action="store_true", help="without a GPU")
    parser.add_argument("--limit-s", type=float, default=3600.0, help="no new kill after so many seconds")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    whole_s, kills = random_kills(args.count, args.seed, args.stand_in, args.limit_s)
    times = sorted(kill.clean_after_s for kill in kills if kill.clean_after_s is not None)
    print(f"{len(kills)} kills at random moments of a sweep of {whole_s:.1f} s:")
    print(f"  {len(times)} left nothing after {ALLOWED_S:g} s", end="")
    print(f" (median {times[len(times) // 2]:.2f} s, longest {times[-1]:.2f} s)" if times else "")
    for kill in kills:
        if kill.clean_after_s is None:
            print(f"  killed after {kill.after_s:.2f} s, left: {'; '.join(kill.left)}")
    if args.json:
        args.json.write_text(json.dumps({"sweep_s": whole_s, "kills": [asdict(k) for k in kills]}, indent=1))
    return 0 if len(times) == len(kills) else 1


if __name__ == "__main__":
    sys.exit(main())
