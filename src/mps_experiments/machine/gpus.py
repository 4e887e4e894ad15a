"""The GPUs of this machine, read through NVML, since the parent never imports torch."""

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pynvml

from mps_experiments.machine.nvml_meter import NvmlMeter, or_none
from mps_experiments.machine.sampler import GpuMeter
from mps_experiments.record.machine import Gpu, GpuProcess

# CUDA cores per multiprocessor by compute capability (CUDA C++ Programming Guide).
_CORES_PER_MULTIPROCESSOR = {
    **dict.fromkeys([(7, 0), (7, 2), (7, 5), (8, 0)], 64),
    **dict.fromkeys([(8, 6), (8, 7), (8, 9), (9, 0), (10, 0), (10, 3), (12, 0), (12, 1)], 128),
}
_COMPUTE_MODES = {0: "Default", 1: "Exclusive_Thread", 2: "Prohibited", 3: "Exclusive_Process"}


class GpuProbe:
    """Answers questions about GPUs; this one knows of none, as on a machine without a driver."""

    def gpus(self) -> tuple[Gpu, ...]:
        """List all GPUs in PCI order."""
        return ()

    def driver_version(self) -> str | None:
        """Return the version of the driver; None without one."""
        return None

    def cuda_driver_version(self) -> str | None:
        """Return the newest CUDA version that the driver supports, such as ``13.0``; None without one."""
        return None

    def compute_processes(self, uuid: str) -> tuple[GpuProcess, ...]:  # noqa: ARG002
        """List the processes with a compute context on the GPU."""
        return ()

    def memory_used_bytes(self, uuid: str) -> int | None:  # noqa: ARG002
        """Return the device memory that all processes use together; None if unknown."""
        return None

    def meter(self, uuid: str) -> GpuMeter | None:  # noqa: ARG002
        """Return a meter that reads this GPU while workers run; None without one."""
        return None

    def mps_pids(self, uuid: str) -> tuple[int, ...] | None:  # noqa: ARG002
        """List the MPS clients on the GPU by pid; None if NVML cannot tell."""
        return None


class FixedProbe(GpuProbe):
    """A probe with fixed answers, for tests and before NVML was asked."""

    def __init__(self, gpus: tuple[Gpu, ...] = (), processes: tuple[GpuProcess, ...] = ()) -> None:
        self._gpus, self._processes = gpus, processes

    def gpus(self) -> tuple[Gpu, ...]:
        return self._gpus

    def driver_version(self) -> str | None:
        return "0.0" if self._gpus else None

    def cuda_driver_version(self) -> str | None:
        return "0.0" if self._gpus else None

    def compute_processes(self, uuid: str) -> tuple[GpuProcess, ...]:  # noqa: ARG002
        return self._processes


class NvmlProbe(GpuProbe):
    """A probe that asks NVML, which must stay initialised meanwhile (see `open_probe`)."""

    def gpus(self) -> tuple[Gpu, ...]:
        return tuple(self._gpu(index) for index in range(pynvml.nvmlDeviceGetCount()))

    def _gpu(self, index: int) -> Gpu:
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        mode = or_none(lambda: pynvml.nvmlDeviceGetComputeMode(handle))
        mig = or_none(lambda: pynvml.nvmlDeviceGetMigMode(handle))
        capability = or_none(lambda: pynvml.nvmlDeviceGetCudaComputeCapability(handle))
        return Gpu(
            index=index,
            uuid=pynvml.nvmlDeviceGetUUID(handle),
            name=pynvml.nvmlDeviceGetName(handle),
            memory_total_bytes=int(pynvml.nvmlDeviceGetMemoryInfo(handle).total),
            compute_mode=_COMPUTE_MODES.get(mode if mode is not None else 0, str(mode)),
            mig_enabled=bool(mig and mig[0]),
            compute_capability=".".join(map(str, capability)) if capability else "",
            local_cores=_local_cores(handle),
            multiprocessors=_multiprocessors(handle, capability),
        )

    def driver_version(self) -> str | None:
        return str(pynvml.nvmlSystemGetDriverVersion())

    def cuda_driver_version(self) -> str | None:
        version = int(pynvml.nvmlSystemGetCudaDriverVersion_v2())
        return f"{version // 1000}.{version % 1000 // 10}"

    def compute_processes(self, uuid: str) -> tuple[GpuProcess, ...]:
        handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)
        found = or_none(lambda: pynvml.nvmlDeviceGetComputeRunningProcesses(handle)) or ()
        return tuple(GpuProcess(pid=int(p.pid), memory_bytes=p.usedGpuMemory) for p in found)

    def memory_used_bytes(self, uuid: str) -> int | None:
        handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)
        return or_none(lambda: int(pynvml.nvmlDeviceGetMemoryInfo(handle).used))

    def meter(self, uuid: str) -> GpuMeter | None:
        return or_none(lambda: NvmlMeter(uuid))

    def mps_pids(self, uuid: str) -> tuple[int, ...] | None:
        handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)
        found = or_none(lambda: pynvml.nvmlDeviceGetMPSComputeRunningProcesses(handle))
        return None if found is None else tuple(int(p.pid) for p in found)


@contextmanager
def open_probe(given: GpuProbe | None = None) -> Iterator[GpuProbe]:
    """Yield the probe that is given, or keep NVML initialised in the block and yield its probe.

    Without a driver that is a probe without GPUs.
    """
    if given is not None:
        yield given
        return
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        yield GpuProbe()
        return
    try:
        yield NvmlProbe()
    finally:
        pynvml.nvmlShutdown()


def _multiprocessors(handle: object, capability: Sequence[int] | None) -> int | None:
    """Return CUDA cores divided by cores per multiprocessor; NVML counts all cores, whatever the SM cap."""
    each = _CORES_PER_MULTIPROCESSOR.get((capability[0], capability[1])) if capability else None
    cores = or_none(lambda: int(pynvml.nvmlDeviceGetNumGpuCores(handle)))
    return cores // each if cores and each else None


def _local_cores(handle: object) -> tuple[int, ...]:
    words = math.ceil((os.cpu_count() or 1) / 64)
    masks = or_none(lambda: pynvml.nvmlDeviceGetCpuAffinity(handle, words)) or ()
    return tuple(64 * i + bit for i, mask in enumerate(masks) for bit in range(64) if int(mask) >> bit & 1)
