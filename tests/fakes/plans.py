"""Plans, a GPU and processes for tests of one run, on the stand-ins or on a real GPU."""

import dataclasses
import os
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import psutil
import pytest

from mps_experiments.machine.device import Device
from mps_experiments.machine.gpus import Gpu
from mps_experiments.mps.control import CONTROL_PROGRAM
from mps_experiments.mps.processes import MpsProcess, mps_processes
from mps_experiments.plan import MpsPlan, RunPaths, RunPlan, WorkersPlan
from mps_experiments.workloads.spec import WorkloadSpec

CHECKOUT = Path(__file__).parents[2]
BIN = Path(__file__).parent / "bin"
FAKE_GPU = Gpu(
    index=0,
    uuid="GPU-6d0eddc6-6d21-4916-9c4c-0123456789ab",
    name="Stand-in",
    memory_total_bytes=2**36,
    torch_device="cpu",
)
DEADLINE_S = 20.0

MPS = MpsPlan(
    enabled=True, exclusive_process=False, start_timeout_s=10.0, command_timeout_s=5.0, quit_timeout_s=3.0
)
WORKERS = WorkersPlan(
    start_method="forkserver",
    pinned=False,
    warmup_iterations=1,
    verbose=False,
    ready_timeout_s=120.0,
    stall_timeout_s=60.0,
    stop_timeout_s=10.0,
)


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
) -> RunPlan:
    """A plan with one worker for each workload.

    Args:
        folder: The run's folder; created.
        workloads: By rank; by default one worker that only attaches.
        mps: Fields of `MpsPlan` that differ.
        workers: Fields of `WorkersPlan` that differ.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return RunPlan(
        name="a cell",
        worker_count=len(workloads) or 1,
        iterations_per_worker=times,
        mps=dataclasses.replace(MPS, **(mps or {})),
        device=Device(gpu=gpu),
        workloads=workloads or (attaching(),),
        workers=dataclasses.replace(WORKERS, **(workers or {})),
        paths=RunPaths(folder=folder),
    )


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Return as soon as the condition holds; fail after a deadline."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {DEADLINE_S:g} s until {what}")
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


def own_mps_processes(program: str = CONTROL_PROGRAM) -> list[MpsProcess]:
    """MPS programs that descend from this process."""
    below = {process.pid for process in psutil.Process().children(recursive=True)}
    return [process for process in mps_processes() if process.program == program and process.pid in below]
