"""However the runner dies while its workers are measured, nothing of it is left within seconds.

The workload starts a process in a session of its own, which loses its parent at once.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from mps_experiments.machine.gpus import open_probe
from mps_experiments.mps.control import CONTROL_PROGRAM, SERVER_PROGRAM
from mps_experiments.record.measurement import Measurement, read_measurement
from mps_experiments.record.verdict import Status
from tests.conftest import command_of
from tests.fakes.plans import CHECKOUT, path_with_fakes, running, short_folder, wait_until

MEASURED = 6  # the call after which a worker is well inside its measured window
TIMES = 100_000
START_S = 120.0  # with spawn every process imports torch anew


@dataclass
class Scene:
    """A runner in the measured window of its first cell, and all that it started."""

    runner: subprocess.Popen[str]
    processes: list[psutil.Process]
    workers: list[int]
    temporary: Path
    outputs: Path

    def everything_is_gone(self) -> bool:
        """Workers, fork server, daemon, server and guardian ended; the private folder removed."""
        return not running(self.processes) and not list(self.temporary.glob("mpsx-*"))

    def record(self) -> Measurement:
        (path,) = self.outputs.rglob("measurement.json")
        return read_measurement(path)


@contextmanager
def measuring(
    tmp_path: Path, real: bool, start_method: str = "forkserver", mps: str = "on"
) -> Iterator[Scene]:
    """Start a runner, wait until both workers are being measured, and end it if the test did not."""
    beacons, outputs = tmp_path / "beacons", tmp_path / "outputs"
    beacons.mkdir()
    program = ["-m", "mps_experiments"] if real else [str(CHECKOUT / "tests" / "fakes" / "cli_runner.py")]
    behind = tmp_path / "behind"
    options = f"{{sleep_s: 0.01, beacon: {beacons}, beacon_at: {MEASURED}, leave_behind: {behind}}}"
    given = f"-m times={TIMES},1 procs=2 mps={mps} tracking=none order=as_given workers.warmup=1"
    given += f" workload=custom workload.factory=tests.fakes.attaching:build output_dir={outputs}"
    environment = os.environ | ({} if real else {"PATH": path_with_fakes()})
    environment["PYTHONPATH"] = os.pathsep.join([str(CHECKOUT), str(CHECKOUT / "src"), *sys.path])
    with short_folder() as temporary:
        runner = subprocess.Popen(
            [
                *(sys.executable, *program, *given.split()),
                *(f"workload.options={options}", f"workers.start_method={start_method}"),
            ],
            cwd=CHECKOUT,
            env=environment | {"TMPDIR": str(temporary)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        below: list[psutil.Process] = []
        try:
            wait_until(
                lambda: len(workers_in(beacons)) == 2 or runner.poll() is not None,
                "both workers are measured",
                deadline_s=START_S,
            )
            assert runner.poll() is None, runner.communicate()[0]
            below = psutil.Process(runner.pid).children(recursive=True)
            below.append(psutil.Process(int(behind.read_text())))
            yield Scene(runner, below, workers_in(beacons), temporary, outputs)
        finally:
            runner.kill()
            for process in running(below):  # of a test that failed: they would keep the output open
                process.kill()
            runner.communicate()


def workers_in(beacons: Path) -> list[int]:
    return [int(path.name) for path in beacons.iterdir() if path.suffix == ""]


def assert_the_scene_is_complete(scene: Scene, mps: str = "on") -> None:
    """All that must be gone later is there now."""
    commands = [command_of(process) for process in scene.processes]
    for part in ("mps_experiments.mps.guardian", *([CONTROL_PROGRAM, SERVER_PROGRAM] if mps == "on" else [])):
        assert any(part in command for command in commands), (part, commands)
    assert set(scene.workers) <= {process.pid for process in scene.processes}
    assert len(list(scene.temporary.glob("mpsx-*"))) == 1


on_fake_and_real = pytest.mark.parametrize(
    "real", [pytest.param(False, id="fake"), pytest.param(True, id="real", marks=pytest.mark.gpu)]
)


@on_fake_and_real
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_sweep_in_order_with_its_record_and_tables(
    tmp_path: Path, real: bool, number: signal.Signals
) -> None:
    with measuring(tmp_path, real) as scene:
        assert_the_scene_is_complete(scene)
        scene.runner.send_signal(number)
        output, _ = scene.runner.communicate(timeout=30)
        assert scene.runner.returncode == 128 + number
        wait_until(scene.everything_is_gone, "everything is gone")
        record = scene.record()  # of the only cell that was begun
    assert record.verdict.status is Status.INVALID
    assert record.verdict.reason == f"interrupted by {number.name}"
    for worker in record.workers:
        assert worker.samples is not None
        assert MEASURED - 2 <= len(worker.samples.latencies_ns) < TIMES
    assert "MPS ON" in output
    assert f"interrupted by {number.name}" in output
    assert re.search(r"interrupted: \d of \d runs were finished; the same command with resume=true", output)
    assert f"records: {scene.outputs}" in output


@on_fake_and_real
@pytest.mark.parametrize(
    ("start_method", "mps"),
    # Without MPS no daemon takes the workers with it.
    [("forkserver", "on"), ("forkserver", "off"), ("spawn", "off")],
)
def test_after_sigkill_of_the_runner_nothing_is_left(
    tmp_path: Path, real: bool, start_method: str, mps: str
) -> None:
    with measuring(tmp_path, real, start_method, mps) as scene:
        assert_the_scene_is_complete(scene, mps)
        scene.runner.send_signal(signal.SIGKILL)
        wait_until(scene.everything_is_gone, "everything is gone")
    assert scene.runner.returncode == -signal.SIGKILL
    assert not list(scene.outputs.rglob("measurement.json"))
    if real:
        wait_until(lambda: not set(scene.workers) & set(on_gpu()), "the GPU is free")


def on_gpu() -> list[int]:
    with open_probe() as probe:
        return [process.pid for gpu in probe.gpus() for process in probe.compute_processes(gpu.uuid)]


def test_a_second_signal_ends_the_runner_at_once_and_leaves_nothing_either(tmp_path: Path) -> None:
    with measuring(tmp_path, real=False) as scene:
        daemon = next(process for process in scene.processes if CONTROL_PROGRAM in command_of(process))
        daemon.suspend()  # the orderly end now waits for an answer
        scene.runner.send_signal(signal.SIGINT)
        workers = [process for process in scene.processes if process.pid in scene.workers]
        wait_until(lambda: not running(workers), "the orderly end has begun")
        scene.runner.send_signal(signal.SIGINT)
        assert scene.runner.wait(timeout=10) == 128 + signal.SIGINT
        wait_until(scene.everything_is_gone, "everything is gone")
