"""Findings about the machine: driver, GPU and who uses it, CPU cores, memory, environment."""

from collections.abc import Iterator
from pathlib import Path

import psutil

from mps_experiments.machine.cell_variables import describe
from mps_experiments.machine.cgroup import memory_limit_bytes
from mps_experiments.machine.device import Device
from mps_experiments.machine.facts import collect_facts
from mps_experiments.machine.gpu_lock import holder_of
from mps_experiments.machine.gpus import GpuProbe
from mps_experiments.record.machine import MachineFacts
from mps_experiments.sweep.doctor.finding import Finding, fail, ok, warn

_KERNEL_DRIVER = Path("/proc/driver/nvidia/version")
_FEW_CORES = 3  # two workers and this program
_WORKER_BYTES = 2 * 10**9  # a worker of the default model takes so much memory, on the GPU and beside it
_SLOWER = "CUDA_LAUNCH_BLOCKING"


def driver_findings(probe: GpuProbe) -> Iterator[Finding]:
    """Tell the driver's version; nothing on a machine without a driver."""
    if (version := probe.driver_version()) is not None:
        yield ok("driver", f"{version}, CUDA up to {probe.cuda_driver_version() or 'an unknown version'}")
    elif _KERNEL_DRIVER.exists():
        todo = "run `nvidia-smi`: after an update restart the machine; in a container use --gpus all"
        yield fail("driver", "the kernel has a driver, but its library does not answer", todo)


def machine_findings(probe: GpuProbe) -> Iterator[Finding]:
    """Tell what a record's machine facts say that can falsify numbers or end workers."""
    facts = collect_facts(probe, None)
    packages = ", ".join(f"{name} {facts.packages.get(name, 'missing')}" for name in ("torch", "torchvision"))
    yield ok("Python", f"{facts.python}, mps_experiments {facts.mps_experiments}, {packages}")
    yield cores_finding(len(facts.usable_cores), facts.cpu_quota_cores)
    yield memory_finding(psutil.virtual_memory().available, memory_limit_bytes())
    yield environment_finding(facts)


def cores_finding(usable: int, quota: float | None) -> Finding:
    """Judge the CPU cores that this process may use, and the cores' worth of time that a container allows."""
    if quota is not None and quota < usable:
        todo = "lift the container's CPU limit: it stops workers on cores of their own again and again"
        return warn("cores", f"{usable} can be used, but a CPU limit allows the time of {quota:g}", todo)
    if usable < _FEW_CORES:
        todo = f"use {_FEW_CORES} or more, procs plus one: workers short of cores look as if MPS did not help"
        return warn("cores", f"{usable} can be used", todo)
    return ok("cores", f"{usable} can be used: one each for up to {usable - 1} workers")


def memory_finding(available: int, limit: int | None) -> Finding:
    """Judge the main memory that is left, or a container's limit if that is less; in bytes."""
    size = min(available, limit or available)
    found = f"{size / 10**9:.1f} GB {'available' if size == available else 'allowed by a memory limit'}"
    todo = "have 2 GB for each worker: end other programs, lift a container's limit, or use fewer procs"
    return warn("memory", found, todo) if size < 2 * _WORKER_BYTES else ok("memory", found)


def environment_finding(facts: MachineFacts) -> Finding:
    """Judge the variables that workers inherit."""
    if facts.environment.get(_SLOWER, "0") != "0":
        todo = "unset it unless you mean to measure it: workers inherit it"
        return warn("environment", f"{_SLOWER}={facts.environment[_SLOWER]}", todo)
    return ok("environment", describe(facts.not_passed_on) or "nothing set that slows workers")


def gpu_findings(device: Device, probe: GpuProbe) -> Iterator[Finding]:
    """Tell which GPU ``device=`` means, how much of its memory is free, and who else is on it."""
    gpu = device.gpu
    if gpu is None:
        if not device.chosen:
            found = "CUDA_VISIBLE_DEVICES hides all GPUs" if probe.gpus() else "no NVIDIA GPU"
            todo = "use a machine with an NVIDIA GPU and its driver, or a container with --gpus all"
            yield warn("GPU", f"{found}: what is measured says nothing about MPS", todo)
        return
    others = ", ".join(f"{each.uuid} {each.name}" for each in probe.gpus() if each.uuid != gpu.uuid)
    size = f"{gpu.name}, {gpu.memory_total_bytes / 10**9:.0f} GB, compute mode {gpu.compute_mode}"
    yield ok("GPU", f"{size}; others: {others}" if others else size)
    if (used := probe.memory_used_bytes(gpu.uuid)) is not None:
        left = gpu.memory_total_bytes - used
        found = f"{left / 10**9:.1f} of {gpu.memory_total_bytes / 10**9:.1f} GB are free"
        todo = "end what holds it (see `nvidia-smi`): a worker of the default model takes 2 GB"
        few = left < 2 * _WORKER_BYTES
        yield warn("GPU memory", found, todo) if few else ok("GPU memory", found)
    if processes := probe.compute_processes(gpu.uuid):
        names = "; ".join(_command(process.pid) for process in processes)
        todo = "end them or wait: they take time of the GPU, and runs beside them are marked as contended"
        yield warn("GPU processes", f"{len(processes)} of others: {names}", todo)
    else:
        yield ok("GPU processes", "none of others")


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
        yield warn("other sweeps", f"the GPU is in use by {holder}", todo)
    else:
        yield ok("other sweeps", "none uses the GPU")
