"""Plans, a GPU and processes for tests of one run, on the stand-ins or on a real GPU."""

import contextlib
import dataclasses
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from mps_experiments.config.schema import Config, MpsConfig, Thresholds, TraceConfig, WorkersConfig
from mps_experiments.machine.device import Device
from mps_experiments.mps.control import LOG_DIRECTORY, PID_FILE, PIPE_DIRECTORY, control_program
from mps_experiments.mps.processes import MpsProcess, end_processes_of, mps_processes, processes_of
from mps_experiments.record.axes import chosen
from mps_experiments.record.machine import Gpu
from mps_experiments.record.run_paths import RunPaths
from mps_experiments.record.workload import WorkloadSpec
from mps_experiments.run.plan import FaultPlan, RunPlan, WindowPlan

CHECKOUT = Path(__file__).parents[2]
BIN = Path(__file__).parent / "bin"
FAKE_GPU = Gpu(
    index=0,
    uuid="GPU-6d0eddc6-6d21-4916-9c4c-0123456789ab",
    name="Stand-in",
    memory_total_bytes=2**36,
    torch_device="cpu",
)
SECOND_GPU = dataclasses.replace(FAKE_GPU, index=1, uuid="GPU-6d0eddc6-6d21-4916-9c4c-ba9876543210")
DEADLINE_S = 20.0

MPS = MpsConfig()
WORKERS = WorkersConfig(warmup=1, preload=(), ready_timeout_s=120.0, stall_timeout_s=60.0)
TRACE = TraceConfig(iterations=0, min_s=0.0)


def thresholds(**strict: Any) -> Thresholds:
    """Limits that windows of milliseconds on a busy machine keep; those that a test is about are given."""
    lenient: dict[str, Any] = {
        "foreign_daemon_invalid": False,  # another test session's may be there
    }
    return Thresholds(**(lenient | strict))


def path_with_fakes() -> str:
    """A PATH on which the stand-ins come first, then this interpreter."""
    return os.pathsep.join([str(BIN), str(Path(sys.executable).parent), os.environ["PATH"]])


def use_fakes(patch: pytest.MonkeyPatch, misbehaviour: str = "") -> None:
    """Put the stand-ins on PATH, and tell them how to misbehave."""
    patch.setenv("PATH", path_with_fakes())
    patch.setenv("FAKE_MPS", misbehaviour)


def attaching(**options: Any) -> WorkloadSpec:
    """The workload of ``attaching.py``."""
    return WorkloadSpec(
        kind="custom",
        model="attaching",
        synchronize="device",
        factory="tests.fakes.attaching:build",
        import_path=str(CHECKOUT),
        options=options,
    )


def run_plan(
    folder: Path,
    *workloads: WorkloadSpec,
    times: int = 5,
    gpu: Gpu | None = FAKE_GPU,
    mps: dict[str, Any] | None = None,
    workers: dict[str, Any] | None = None,
    trace: dict[str, Any] | None = None,
    strict: dict[str, Any] | None = None,
    fault: FaultPlan | None = None,
    kept: bool = True,
) -> RunPlan:
    """A plan with one worker for each workload.

    Args:
        folder: The run's folder; created.
        workloads: By rank; by default one worker that only attaches.
        mps: Fields of `MpsConfig` that differ.
        workers: Fields of `WorkersConfig` that differ.
        trace: Fields of `TraceConfig` that differ; by default there is no traced pass.
        strict: Limits of `thresholds` that count.
        fault: What goes wrong on purpose; see `fault_plan`.
        kept: Whether workers that are done keep up the load; never with a fault.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return RunPlan(
        axes=chosen(Config()),
        worker_count=len(workloads) or 1,
        trace=dataclasses.replace(TRACE, **(trace or {})),
        telemetry_interval_s=0.02,
        thresholds=thresholds(**(strict or {})),
        window=WindowPlan(kept=kept and fault is None, iterations=times),
        mps=dataclasses.replace(MPS, **(mps or {})),
        device=Device(gpu=gpu),
        workloads=workloads or (attaching(),),
        workers=dataclasses.replace(WORKERS, **(workers or {})),
        paths=RunPaths(folder=folder),
        fault=fault,
    )


def fault_plan(kind: str, **values: Any) -> FaultPlan:
    """A fault of worker 0 after two iterations; the newcomer comes soon."""
    defaults: dict[str, Any] = {
        "worker": 0,
        "at": 0.5,
        "after_iterations": 2,
        "trial": None,
        "trials": 1,
        "newcomer_after_s": 0.1,
    }
    return FaultPlan(kind=kind, **(defaults | values))


def wait_until(condition: Callable[[], object], what: str, deadline_s: float = DEADLINE_S) -> None:
    """Return as soon as the condition holds; fail after a deadline."""
    deadline = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {deadline_s:g} s until {what}")
        time.sleep(0.02)


def is_running(process: psutil.Process) -> bool:
    """Whether a process still runs; a zombie does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def running(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Those that still run."""
    return [process for process in processes if is_running(process)]


def own_mps_processes() -> list[MpsProcess]:
    """The daemon that this process started, and its servers."""
    children = {process.pid for process in psutil.Process().children()}
    found = list(mps_processes())
    pipe_dirs = {process.pipe_dir for process in found if process.pid in children}
    return [process for process in found if process.pipe_dir in pipe_dirs]


def stray_mps_processes() -> list[MpsProcess]:
    """Those whose pipe directory has been removed."""
    return [process for process in mps_processes() if not Path(process.pipe_dir or "/").exists()]


@contextlib.contextmanager
def short_folder() -> Iterator[Path]:
    """A folder in which sockets have short paths; pytest's own is too deep."""
    folder = Path(tempfile.mkdtemp(prefix="mpst-", dir="/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_alone(pipe_dir: Path) -> bool:
    """Whether the daemon that its pid file names is the only MPS process of this directory."""
    pid_file = pipe_dir / PID_FILE
    named = pid_file.read_text().strip() if pid_file.exists() else ""
    return [str(process.pid) for process in processes_of(pipe_dir)] == [named]


@contextlib.contextmanager
def daemon_of_somebody_else(pipe_dir: Path) -> Iterator[None]:
    """A daemon started with ``-d``, which this program must leave alone."""
    program = control_program()
    assert program is not None
    pipe_dir.mkdir(exist_ok=True)
    environment = os.environ | {PIPE_DIRECTORY: str(pipe_dir), LOG_DIRECTORY: str(pipe_dir)}
    try:
        subprocess.run([program, "-d"], env=environment, check=True, timeout=DEADLINE_S)
        wait_until(
            lambda: _is_alone(pipe_dir), "the daemon is there, and those that it was forked from are not"
        )
        yield
    finally:
        end_processes_of(pipe_dir, 5.0)
