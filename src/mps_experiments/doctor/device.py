"""Findings about the GPU that ``device=`` means, and who else uses it."""

from collections.abc import Iterator

import psutil

from mps_experiments.doctor.finding import Finding, fail, ok, warn
from mps_experiments.doctor.gpu import Sight
from mps_experiments.errors import ConfigError
from mps_experiments.machine.device import resolve_device
from mps_experiments.machine.gpus import FixedProbe, Gpu, GpuProcess

_NOTHING_ABOUT_MPS = "runs on the CPU, nothing measured says anything about MPS"
_LOW_MEMORY_BYTES = 4 * 10**9
_MAX_COMMAND = 60  # characters


def choose(device: str, sight: Sight) -> tuple[Gpu | None, Finding]:
    """The GPU that ``device=`` means, and what there is to say about the choice."""
    try:
        gpu = resolve_device(device, FixedProbe(sight.gpus)).gpu
    except ConfigError as error:
        return None, fail("GPU", str(error), "see `nvidia-smi -L`, or run with device=auto or device=cpu")
    if gpu is not None:
        return gpu, ok("GPU", _described(gpu, sight.gpus))
    if device == "cpu":
        return None, ok("GPU", f"not used: device=cpu {_NOTHING_ABOUT_MPS}")
    if sight.gpus:
        todo = "unset CUDA_VISIBLE_DEVICES, or name one that is there"
        return None, warn("GPU", f"CUDA_VISIBLE_DEVICES hides all: {_NOTHING_ABOUT_MPS}", todo)
    missing = "no NVIDIA GPU" if sight.driver_version or sight.problem else "no NVIDIA driver"
    todo = "use a machine with an NVIDIA GPU and its driver, and a container with --gpus all, to measure MPS"
    return None, warn("GPU", f"{missing}: {_NOTHING_ABOUT_MPS}", todo)


def _described(gpu: Gpu, gpus: tuple[Gpu, ...]) -> str:
    capability = f", compute capability {gpu.compute_capability}" if gpu.compute_capability else ""
    text = f"{gpu.name}, {gpu.memory_total_bytes / 10**9:.0f} GB{capability}"
    others = ", ".join(f"cuda:{each.index} {each.name}" for each in gpus if each.uuid != gpu.uuid)
    return f"{text}; one of {len(gpus)} (others: {others})" if others else text


def mode_findings(gpu: Gpu) -> Iterator[Finding]:
    """MIG and the compute mode."""
    if gpu.mig_enabled:
        todo = f"turn it off: nvidia-smi -i {gpu.uuid} -mig 0 (root), or name another GPU with device="
        yield fail("MIG", "on: MPS is measured on whole GPUs only", todo)
    else:
        yield ok("MIG", "off")
    default = f"nvidia-smi -i {gpu.uuid} -c DEFAULT (root)"
    mode = gpu.compute_mode
    if mode.upper() == "PROHIBITED":
        yield fail("compute mode", f"{mode}: no process may use the GPU", default)
    elif mode.upper().startswith("EXCLUSIVE"):
        yield warn("compute mode", f"{mode}: mps=off is skipped for more than one process", default)
    else:
        yield ok("compute mode", mode)


def usage_findings(gpu: Gpu, sight: Sight) -> Iterator[Finding]:
    """Memory and processes of others on the GPU."""
    used = sight.memory_used_bytes.get(gpu.uuid)
    if used is not None:
        left = gpu.memory_total_bytes - used
        found = f"{left / 10**9:.1f} of {gpu.memory_total_bytes / 10**9:.1f} GB are free"
        todo = "end what holds it (see `nvidia-smi`): a worker of the default model takes 2 GB"
        yield warn("GPU memory", found, todo) if left < _LOW_MEMORY_BYTES else ok("GPU memory", found)
    processes = sight.processes.get(gpu.uuid, ())
    if processes:
        names = "; ".join(_named(process) for process in processes)
        todo = "end them or wait: they take time of the GPU, and runs beside them are marked as contended"
        yield warn("GPU processes", f"{len(processes)} of others: {names}", todo)
    else:
        yield ok("GPU processes", "none of others")


def _named(process: GpuProcess) -> str:
    try:
        command = " ".join(psutil.Process(process.pid).cmdline())[:_MAX_COMMAND] or "no command told"
    except psutil.Error:  # of another user, of another container, or gone
        command = "not to be seen from here"
    size = "" if process.memory_bytes is None else f", {process.memory_bytes / 10**6:.0f} MB"
    return f"pid {process.pid} ({command}{size})"
