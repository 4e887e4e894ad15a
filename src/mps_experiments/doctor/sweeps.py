"""Whether another sweep holds the GPU: read from the kernel's list, since taking the lock is a change."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import psutil

from mps_experiments.doctor.finding import Finding, fail, ok, warn
from mps_experiments.doctor.roots import Roots
from mps_experiments.machine.gpus import Gpu

_NAME = "other sweeps"
_MAX_COMMAND = 200  # characters


def sweep_findings(gpu: Gpu, roots: Roots) -> Iterator[Finding]:
    """The holder of the GPU's lock, if there is one."""
    path = roots.locks / f"mpsx-{gpu.uuid}.lock"
    try:
        found = path.lstat()
    except FileNotFoundError:
        yield ok(_NAME, "none uses the GPU")
        return
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1 or not os.access(path, os.R_OK):
        yield fail(_NAME, f"{path} is no lock file that this user can read", "remove it; sweeps make it anew")
    elif pids := _holders(found.st_ino, roots):
        holders = "; ".join(f"pid {pid} ({_command(pid)})" for pid in pids)
        yield warn(
            _NAME,
            f"the GPU is in use by {holders}",
            "wait for its end: gpu_wait_s=3600 waits up to an hour, else a second sweep is refused",
        )
    else:
        yield ok(_NAME, "none uses the GPU")


def _holders(inode: int, roots: Roots) -> tuple[int, ...]:
    """Who holds a lock of the whole file. Devices are not compared: stat and the kernel's list may differ."""
    pids = []
    for line in (roots.proc / "locks").read_text().splitlines():
        words = line.split()
        if len(words) >= 6 and words[1] == "FLOCK" and words[5].rpartition(":")[2] == str(inode):
            pids.append(int(words[4]))
    return tuple(pids)


def _command(pid: int) -> str:
    try:
        words = psutil.Process(pid).cmdline()
    except psutil.Error:
        return "not to be seen from here"
    return " ".join([Path(word).name if word.startswith("/") else word for word in words])[:_MAX_COMMAND]
