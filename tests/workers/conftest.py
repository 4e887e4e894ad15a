"""Tiny workloads for real worker processes."""

from collections.abc import Callable
from multiprocessing.context import ForkServerContext, SpawnContext
from pathlib import Path
from typing import Any

import pytest

from mps_experiments.record.workload import WorkloadSpec
from mps_experiments.workers.child import WorkerSpec
from mps_experiments.workers.context import process_context
from mps_experiments.workers.pool import WorkerPool

READY_S = 60.0
DEADLINE_S = 30.0
MODULE = """\
import itertools, os, pathlib, sys, time
import torch

def small(device, options):
    return (lambda x: x + 1), torch.zeros(2, 3)

def slow(device, options):
    return (lambda s: time.sleep(s)), options.get("seconds", 0.005)

def says(device, options):
    return (lambda x: print("said", end="")), torch.zeros(1)

def its_pid(device, options):
    return (lambda x: x + os.getpid()), torch.zeros(1, dtype=torch.int64)

def acts_after(calls, act):
    numbers = itertools.count(1)
    def model(_):
        if next(numbers) > calls:
            act()
        return torch.zeros(1)
    return model, 0

def bad_number():
    raise ValueError("bad number")

def hangs_at(device, options): return acts_after(options["calls"], lambda: time.sleep(600))
def fails_at(device, options): return acts_after(options["calls"], bad_number)
def exits_at(device, options): return acts_after(options["calls"], lambda: os._exit(7))

def opens_gate(device, options):
    def pause():
        time.sleep(options["seconds"])
        if next(calls) >= options["opening"]:
            pathlib.Path(options["gate"]).touch()
    calls = itertools.count(1)
    return acts_after(0, pause)

def waits_at_gate(device, options):
    def wait():
        while not os.path.exists(options["gate"]):
            time.sleep(0.005)
    return acts_after(options["waiting"], wait)

def hangs_in_loading(device, options):
    time.sleep(600)

def fails(device, options):
    print("about to fail")
    raise RuntimeError("no such checkpoint\\nsecond line")

def exits(device, options):
    os._exit(7)

def hangs_up(device, options):
    os.closerange(3, 1000)
    time.sleep(600)

def shouts(device, options):
    "Write bytes into the channel, past `send_bytes`."
    frame = sys._getframe()
    while "channel" not in frame.f_locals:
        frame = frame.f_back
    os.write(frame.f_locals["channel"].fileno(), bytes.fromhex(options["data"]))
    if options["leaves"]:
        os._exit(0)
    time.sleep(600)
"""

Context = ForkServerContext | SpawnContext
MakeSpecs = Callable[..., list[WorkerSpec]]


@pytest.fixture(scope="session")
def forkserver() -> Context:
    """Return the program's own fork server; it imports torch once for all tests."""
    return process_context("forkserver")


@pytest.fixture
def make_specs(tmp_path: Path) -> MakeSpecs:
    """Make specs of workers that run one function of the module above."""
    (tmp_path / "tiny_workload.py").write_text(MODULE)

    def make(function: str, count: int = 1, **values: Any) -> list[WorkerSpec]:
        options = values.pop("options", {})
        factory = f"tiny_workload:{function}"
        workload = WorkloadSpec(
            kind="custom", model=factory, factory=factory, import_path=str(tmp_path), options=options
        )
        defaults: dict[str, Any] = {
            "device": "cpu",
            "workload": workload,
            "iterations": 5,
            "warmup_iterations": 1,
            "cpu_cores": (),
            "environment": {"CUDA_VISIBLE_DEVICES": ""},
            "verbose": False,
            "go_timeout_s": 60.0,
        }
        return [
            WorkerSpec(rank=rank, log_path=str(tmp_path / f"worker-{rank}.log"), **(defaults | values))
            for rank in range(count)
        ]

    return make


def ignore(*_: object) -> None:
    """Ignore a forward or a tick."""


def pool_of(context: Context, specs: list[WorkerSpec]) -> WorkerPool:
    return WorkerPool(context, specs, stop_timeout_s=5.0, on_forward=ignore)


def started(pool: WorkerPool) -> int:
    """Wait until all are ready and release them; return the start."""
    pool.wait_ready(READY_S)
    return pool.release()


def measure(pool: WorkerPool) -> None:
    """Run the measured window, after which workers can be asked."""
    started(pool)
    pool.wait_done(DEADLINE_S, 0.01, ignore)
