"""Python, cores, memory, shared memory and whether other users' processes can be seen."""

import os
import platform
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil

from mps_experiments import __version__
from mps_experiments.doctor.finding import Finding, fail, ok, warn
from mps_experiments.doctor.probing import Check
from mps_experiments.doctor.roots import Roots
from mps_experiments.machine.cell_variables import describe, not_passed_on
from mps_experiments.machine.cgroup import cpu_limit, memory_limit_bytes

_OLDEST_PYTHON = (3, 11)
_FEW_CORES = 3  # two workers and this program
_LOW_MEMORY_BYTES, _NO_MEMORY_BYTES = 4 * 10**9, 10**9  # a worker of the default model takes 1 to 2 GB
_LOW_SHM_BYTES = 16 * 2**20  # a million iterations
_SLOWER = ("CUDA_LAUNCH_BLOCKING",)


def system_checks(roots: Roots) -> Iterator[Check]:
    """Python, the operating system, cores, memory, shared memory, processes, the environment."""
    yield Check(name="Python", look=lambda: [python_finding(sys.version_info[:3])])
    yield Check(name="system", look=lambda: [kernel_finding(sys.platform, _kernel_release(roots))])
    yield Check(name="cores", look=lambda: [cores_finding(_usable_cores(), cpu_limit(roots.proc, roots.sys))])
    yield Check(
        name="memory",
        look=lambda: [memory_finding(_available_bytes(), memory_limit_bytes(roots.proc, roots.sys))],
    )
    yield Check(name="shared memory", look=lambda: [shared_memory_finding(roots.dev / "shm")])
    yield Check(name="processes", look=lambda: [processes_finding(roots, os.geteuid())])
    yield Check(name="environment", look=lambda: [environment_finding(os.environ)])


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0))


def _available_bytes() -> int:
    return int(psutil.virtual_memory().available)


def python_finding(version: tuple[int, int, int]) -> Finding:
    """The interpreter that runs this."""
    found = f"{'.'.join(map(str, version))} at {sys.executable}, mps_experiments {__version__}"
    if version < _OLDEST_PYTHON:
        return fail("Python", found, "use Python 3.11 or newer")
    return ok("Python", found)


def kernel_finding(system: str, release: str) -> Finding:
    """MPS needs Linux itself."""
    found = f"{platform.system()} {release}".strip()
    if system != "linux":
        return fail("system", found, "use Linux: MPS and this program need it")
    if "microsoft" in release.lower():
        return warn("system", f"{found} (WSL)", "use Linux itself for mps=on: WSL has no MPS")
    return ok("system", found)


def _kernel_release(roots: Roots) -> str:
    return (roots.proc / "sys" / "kernel" / "osrelease").read_text().strip()


def cores_finding(usable: int, limit: float | None) -> Finding:
    """Each worker gets a core of its own where there are enough.

    Args:
        usable: CPU cores that this process may run on.
        limit: Cores' worth of CPU time that a container allows; None without a limit.
    """
    if limit is not None and limit < usable:
        return warn(
            "cores",
            f"{usable} can be used, but a CPU limit allows the time of {limit:g}",
            "lift the container's CPU limit: workers on cores of their own are stopped again and again by it",
        )
    if usable < _FEW_CORES:
        return warn(
            "cores",
            f"{usable} can be used",
            f"use {_FEW_CORES} or more, procs plus one: workers short of cores look as if MPS did not help",
        )
    return ok("cores", f"{usable} can be used: one each for up to {usable - 1} workers")


def memory_finding(available_bytes: int, limit_bytes: int | None) -> Finding:
    """Main memory that is left, or the container's limit if that is less."""
    limited = limit_bytes is not None and limit_bytes < available_bytes
    size = limit_bytes if limited and limit_bytes is not None else available_bytes
    found = f"{size / 10**9:.1f} GB {'allowed by the memory limit' if limited else 'available'}"
    todo = "have 2 GB for each worker: end other programs, lift a container's limit, or use fewer procs"
    if size < _NO_MEMORY_BYTES:
        return fail("memory", found, todo)
    return warn("memory", found, todo) if size < _LOW_MEMORY_BYTES else ok("memory", found)


def shared_memory_finding(folder: Path) -> Finding:
    """Where the workers' samples are while they run; Docker gives it 64 MB."""
    todo = "mount it (docker run --shm-size=1g, or --ipc=host); until then samples are files in TMPDIR"
    if not folder.is_dir():
        return warn("shared memory", f"there is no {folder}", todo)
    free = shutil.disk_usage(folder).free
    found = f"{free / 10**6:.0f} MB free in {folder}"
    if not os.access(folder, os.W_OK | os.X_OK):
        return warn("shared memory", f"{folder} cannot be written", todo)
    return warn("shared memory", found, todo) if free < _LOW_SHM_BYTES else ok("shared memory", found)


def processes_finding(roots: Roots, user_id: int) -> Finding:
    """Whether an MPS daemon of another user could be seen."""
    for line in (roots.proc / "self" / "mounts").read_text().splitlines():
        _, where, kind, options = [*line.split(), "", "", "", ""][:4]
        if (where, kind) == ("/proc", "proc") and _hides(options) and user_id != 0:
            return warn(
                "processes",
                f"/proc is mounted with {_hides(options)}",
                "MPS daemons of other users are not seen: ask an administrator whether there are any",
            )
    return ok("processes", "those of all users can be seen")


def _hides(options: str) -> str:
    hidden = (each for each in options.split(",") if each.startswith("hidepid="))
    return next((each for each in hidden if each not in ("hidepid=0", "hidepid=off")), "")


def environment_finding(environment: Mapping[str, str]) -> Finding:
    """Variables that workers inherit and that change what is measured."""
    found = [f"{name}={environment[name]}" for name in _SLOWER if environment.get(name, "0") != "0"]
    if found:
        return warn(
            "environment", ", ".join(found), "unset what you do not mean to measure: workers inherit it"
        )
    ignored = describe(not_passed_on(environment))
    return ok("environment", ignored or "nothing set that slows workers")
