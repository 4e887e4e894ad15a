"""Check what a sweep needs of this machine, by the sweep's own checks; one finding a line."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import psutil

from mps_experiments.config.schema import Config
from mps_experiments.errors import without_passwords
from mps_experiments.machine.cell_variables import describe
from mps_experiments.machine.cgroup import memory_limit_bytes
from mps_experiments.machine.device import Device
from mps_experiments.machine.facts import collect_facts
from mps_experiments.machine.gpu_lock import holder_of
from mps_experiments.machine.gpus import GpuProbe
from mps_experiments.mps.attachment import find_foreign_daemons
from mps_experiments.mps.control import CONTROL_PROGRAM, control_program
from mps_experiments.mps.guardian import Guardian
from mps_experiments.record.machine import MachineFacts
from mps_experiments.run.environment import FOREIGN_TIMEOUT_S
from mps_experiments.run.mps_check import MpsCheck
from mps_experiments.run.plan import RunPlan
from mps_experiments.run.skip import reason_to_skip
from mps_experiments.sweep.preflight import check_workloads, look_at_output_dir, new_tracker
from mps_experiments.tracking.addresses import own_database

_KERNEL_DRIVER = Path("/proc/driver/nvidia/version")
_FEW_CORES = 3  # two workers and this program
_GIB = 2**30
_WORKER_BYTES = 2 * _GIB  # a worker of the default model takes so much memory, on the GPU and beside it
_SLOWER = "CUDA_LAUNCH_BLOCKING"
_NO_DAEMON_OF_OURS = Path("/dev/null/pipe")


class Level(Enum):
    """How bad a finding is; the value is the exit code if nothing is worse."""

    OK = 0
    WARN = 1
    FAIL = 2


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of the doctor.

    Attributes:
        name: What was looked at, at most 17 characters.
        level: FAIL: a sweep would be refused, or MPS does not work. WARN: it works, but not as one expects.
        todo: What to do; empty if the level is OK.
    """

    name: str
    level: Level
    found: str
    todo: str = ""


def _ok(name: str, found: str) -> Finding:
    return Finding(name=name, level=Level.OK, found=found)


def _warn(name: str, found: str, todo: str) -> Finding:
    return Finding(name=name, level=Level.WARN, found=found, todo=todo)


def _fail(name: str, found: str, todo: str) -> Finding:
    return Finding(name=name, level=Level.FAIL, found=found, todo=todo)


def driver_findings(probe: GpuProbe) -> Iterator[Finding]:
    """Tell the driver's version; nothing on a machine without a driver."""
    if (version := probe.driver_version()) is not None:
        yield _ok("driver", f"{version}, CUDA up to {probe.cuda_driver_version() or 'an unknown version'}")
    elif _KERNEL_DRIVER.exists():
        todo = "run `nvidia-smi`: after an update restart the machine; in a container use --gpus all"
        yield _fail("driver", "the kernel has a driver, but its library does not answer", todo)


def machine_findings(probe: GpuProbe) -> Iterator[Finding]:
    """Tell what a record's machine facts say that can falsify numbers or end workers."""
    facts = collect_facts(probe, None)
    packages = ", ".join(f"{name} {facts.packages.get(name, 'missing')}" for name in ("torch", "torchvision"))
    yield _ok("Python", f"{facts.python}, mps_experiments {facts.mps_experiments}, {packages}")
    yield cores_finding(len(facts.usable_cores), facts.cpu_quota_cores)
    yield memory_finding(psutil.virtual_memory().available, memory_limit_bytes())
    yield environment_finding(facts)


def cores_finding(usable: int, quota: float | None) -> Finding:
    """Judge the CPU cores that this process may use, and the cores' worth of time that a container allows."""
    if quota is not None and quota < usable:
        todo = "lift the container's CPU limit: it stops workers on cores of their own again and again"
        return _warn(
            "cores", f"{usable} can be used, but a CPU limit allows the time of {quota:g} cores", todo
        )
    if usable < _FEW_CORES:
        todo = f"use {_FEW_CORES} or more, procs plus one: workers short of cores look as if MPS did not help"
        return _warn("cores", f"{usable} can be used", todo)
    return _ok("cores", f"{usable} can be used: enough for up to {usable - 1} processes and this program")


def memory_finding(available: int, limit: int | None) -> Finding:
    """Judge the main memory that is left, or a container's limit if that is less; in bytes."""
    size = min(available, limit or available)
    found = f"{size / _GIB:.1f} GiB {'available' if size == available else 'allowed by a memory limit'}"
    todo = "have 2 GiB for each process: end other programs, lift a container's limit, or use fewer"
    return _warn("memory", found, todo) if size < 2 * _WORKER_BYTES else _ok("memory", found)


def environment_finding(facts: MachineFacts) -> Finding:
    """Judge the variables that workers inherit."""
    if facts.environment.get(_SLOWER, "0") != "0":
        todo = "unset it unless you mean to measure it: workers inherit it"
        return _warn("environment", f"{_SLOWER}={facts.environment[_SLOWER]}", todo)
    return _ok("environment", describe(facts.not_passed_on) or "nothing set that slows workers")


def gpu_findings(device: Device, probe: GpuProbe) -> Iterator[Finding]:
    """Tell which GPU ``device=`` means, how much of its memory is free, and who else is on it."""
    gpu = device.gpu
    if gpu is None:
        if not device.chosen:
            found = "CUDA_VISIBLE_DEVICES hides all GPUs" if probe.gpus() else "no NVIDIA GPU"
            todo = "use a machine with an NVIDIA GPU and its driver, or a container with --gpus all"
            yield _warn("GPU", f"{found}: what is measured says nothing about MPS", todo)
        return
    others = ", ".join(f"{each.uuid} {each.name}" for each in probe.gpus() if each.uuid != gpu.uuid)
    size = f"{gpu.name}, {gpu.memory_total_bytes / _GIB:.0f} GiB, compute mode {gpu.compute_mode}"
    yield _ok("GPU", f"{size}; others: {others}" if others else size)
    if (used := probe.memory_used_bytes(gpu.uuid)) is not None:
        left = gpu.memory_total_bytes - used
        found = f"{left / _GIB:.1f} of {gpu.memory_total_bytes / _GIB:.1f} GiB are free"
        todo = "end what holds it (see `nvidia-smi`): a replica of the default model takes 2 GiB"
        few = left < 2 * _WORKER_BYTES
        yield _warn("GPU memory", found, todo) if few else _ok("GPU memory", found)
    if processes := probe.compute_processes(gpu.uuid):
        names = "; ".join(_command(process.pid) for process in processes)
        todo = "end them or wait: they take time of the GPU, and runs beside them are marked as contended"
        yield _warn("GPU processes", f"{len(processes)} of others: {names}", todo)
    else:
        yield _ok("GPU processes", "none of others")


def _command(pid: int) -> str:
    try:
        return f"pid {pid} ({' '.join(psutil.Process(pid).cmdline())[:60]})"
    except psutil.Error:  # of another user, of another container, or gone
        return f"pid {pid} (not to be seen from here)"


def sweep_findings(device: Device, lock_folder: Path) -> Iterator[Finding]:
    """Tell whether another sweep has the GPU."""
    if device.gpu is None:
        return
    if holder := holder_of(device.gpu.uuid, lock_folder):
        todo = "wait for its end: gpu_wait_s=3600 waits up to an hour, else a second sweep is refused"
        yield _warn("other sweeps", f"the GPU is in use by {holder}", todo)
    else:
        yield _ok("other sweeps", "none uses the GPU")


def mps_findings(plans: Sequence[RunPlan]) -> Iterator[Finding]:
    """Tell whether cells with and without MPS would run or be skipped."""
    for plan in plans:
        name = "mps=on" if plan.mps.enabled else "mps=off"
        skipped = reason_to_skip(plan)
        if skipped is None:
            yield _ok(name, f"runs, with {control_program()}" if plan.mps.enabled else "runs")
        elif plan.device.gpu is not None and plan.mps.enabled:
            yield _fail(name, skipped.reason, _mend(plan))
        else:
            yield _warn(name, skipped.reason, _mend(plan))


def _mend(plan: RunPlan) -> str:
    gpu = plan.device.gpu
    if gpu is None:
        return "measure it on a machine with an NVIDIA GPU"
    if gpu.mig_enabled:
        return f"turn MIG off: nvidia-smi -i {gpu.uuid} -mig 0 (root), or name another GPU with device="
    if gpu.compute_mode.upper() != "DEFAULT":
        return f"nvidia-smi -i {gpu.uuid} -c DEFAULT (root)"
    if control_program() is None:
        return "install the driver's compute part (nvidia-compute-utils-... on Ubuntu); mps=off works without"
    return "use Linux itself; mps=off works here"


def foreign_findings(plan: RunPlan) -> Iterator[Finding]:
    """Ask daemons of others for their clients, and leave them alone; those on another GPU are passed over."""
    gpu = plan.device.gpu
    every = find_foreign_daemons(_NO_DAEMON_OF_OURS, FOREIGN_TIMEOUT_S)
    found = [daemon for daemon in every if gpu is None or daemon.may_serve(gpu.uuid)]
    for daemon in found:
        clients = "clients unknown" if daemon.client_pids is None else f"{len(daemon.client_pids)} clients"
        where = f"CUDA_MPS_PIPE_DIRECTORY={daemon.pipe_dir} " if daemon.pipe_dir else ""
        yield _warn(
            "foreign daemons",
            f"pid {daemon.pid or 'unknown'} at {daemon.pipe_dir or 'an unknown place'}, {clients}",
            f"if nobody needs it, its owner ends it: echo quit | {where}{CONTROL_PROGRAM}; "
            "while it is there, mps=off is INVALID",
        )
    if not found:
        yield _ok("foreign daemons", "none runs or answers")


def trial_findings(plan: RunPlan, probe: GpuProbe) -> Iterator[Finding]:
    """Start, ask and quit a private daemon, as a sweep does first; nothing of it stays.

    Raises:
        ConfigError: If MPS does not work here.
    """
    if reason_to_skip(plan):
        return
    with Guardian() as guardian:
        MpsCheck(guardian, probe.cuda_driver_version()).check(plan)
    yield _ok("MPS tried", "a private daemon started, answered and quit")


def torch_findings(plans: Sequence[RunPlan]) -> Iterator[Finding]:
    """Have a child process import torch and torchvision and look for the GPU, as a sweep does.

    Raises:
        ConfigError: If it cannot, or does not find the GPU.
    """
    check_workloads(plans)
    where = "no GPU is needed" if plans[0].device.is_cpu else "it finds the GPU"
    yield _ok("torch", f"can be imported with torchvision; {where}")


def output_findings(config: Config) -> Iterator[Finding]:
    """Tell where records go, and the room there.

    Raises:
        ConfigError: If a sweep would be refused for it.
    """
    folder = look_at_output_dir(config)
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    made = "" if existing == folder else ", which will be made"
    yield _ok("output folder", f"{folder}{made}; {shutil.disk_usage(existing).free / _GIB:.1f} GiB free")


def store_findings(config: Config) -> Iterator[Finding]:
    """Reach the store that a sweep would log to; nothing is created or migrated in it.

    Raises:
        ConfigError: If a sweep would be refused for it.
    """
    new_tracker(config.tracking, config.output_path).look()
    found = without_passwords(config.tracking.uri or str(own_database(config.output_path)))
    yield _ok("tracking store", found if config.tracking.enabled else "none: records on disk only")
