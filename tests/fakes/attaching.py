"""A custom workload that attaches to the stand-in for MPS as a CUDA context would, or uses a real GPU.

On the CPU it connects to the daemon's socket if there is one, and goes on without a word if not: that is the
silent fallback of the real thing. On a GPU the CUDA context attaches by itself.

Options; calls are counted from 1 and include the warm-up:
    sleep_s         each call takes so long
    add             added to the output, a matrix of zeros and ones; a text for what JSON has no number for
    output          false: the calls return nothing
    profile         the factory starts PyTorch's profiler and leaves it running
    core            the CPU core to which the worker binds itself
    raise_at, memory_error_at, kill_at, exit_at, hang_at   the call that goes wrong, and how
    print_line      printed by each call
    gate            a file: call number `gate_at` waits until it is there
    never_ready     the factory never returns
    leave_behind    a file: the factory starts a process without a parent, in a session of its own, and writes
                    its number there
    refuse_if       a path; where it is there, the factory raises
    beacon          a folder: call number `beacon_at` leaves a file there, named by the pid, with the
                    directory in which the worker looks for MPS
    tell            a folder: the factory leaves a file there, named by the pid, with its environment and, on
                    a GPU, how many multiprocessors it sees
"""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.profiler

from tests.fakes.client import PIPE_DIRECTORY, Attachment

ENDLESS_BYTES = 2**60


def build(device: torch.device, options: dict[str, Any]) -> tuple[Callable[[torch.Tensor], object], object]:
    """The factory: see the options above."""
    attachment = Attachment() if device.type == "cpu" else None
    if options.get("profile"):
        _profile(device)
    if "core" in options:
        os.sched_setaffinity(0, {options["core"]})
    if "refuse_if" in options and Path(options["refuse_if"]).exists():
        raise RuntimeError("refused")
    if "tell" in options:
        _tell(Path(options["tell"]), device)
    if "leave_behind" in options:
        twice = ["/bin/sh", "-c", "setsid sleep 600 >/dev/null 2>&1 & echo $!"]
        asleep = subprocess.run(twice, check=True, capture_output=True, text=True)
        Path(options["leave_behind"]).write_text(asleep.stdout)
    if options.get("never_ready"):
        threading.Event().wait()
    calls = 0

    def model(matrix: torch.Tensor) -> torch.Tensor | None:
        nonlocal calls
        calls += 1
        if attachment is not None:
            attachment.check()
        _beacon(options, calls)
        _go_wrong(options, calls, device)
        time.sleep(options.get("sleep_s", 0.0))
        product = matrix @ matrix + float(options.get("add", 0.0))
        return product if options.get("output", True) else None

    return model, torch.eye(8, device=device)


def _tell(folder: Path, device: torch.device) -> None:
    count = torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else None
    told = {"environment": dict(os.environ), "multi_processor_count": count}
    (folder / f"{os.getpid()}.json").write_text(json.dumps(told))


def _profile(device: torch.device) -> None:
    activities = torch.profiler.ProfilerActivity
    kind = activities.CUDA if device.type == "cuda" else activities.CPU
    profile = torch.profiler.profile(activities=[kind])
    profile.start()
    _kept.append(profile)


_kept: list[torch.profiler.profile] = []


def _beacon(options: dict[str, Any], call: int) -> None:
    if "beacon" in options and call == options.get("beacon_at", 1):
        path = Path(options["beacon"]) / str(os.getpid())
        path.with_suffix(".part").write_text(os.environ.get(PIPE_DIRECTORY, ""))
        path.with_suffix(".part").rename(path)


def _go_wrong(options: dict[str, Any], call: int, device: torch.device) -> None:
    if "print_line" in options:
        os.write(1, f"{options['print_line']}\n".encode())
    if call == options.get("raise_at"):
        raise RuntimeError(f"call {call} went wrong")
    if call == options.get("memory_error_at"):
        if device.type == "cuda":
            torch.empty(ENDLESS_BYTES, dtype=torch.uint8, device=device)
        raise MemoryError("out of memory")
    if call == options.get("kill_at"):
        os.kill(os.getpid(), signal.SIGKILL)
    if call == options.get("exit_at"):
        os._exit(3)
    if call == options.get("gate_at"):
        while not Path(options["gate"]).exists():
            time.sleep(0.005)
    if call == options.get("hang_at"):
        threading.Event().wait()
