"""Stand-in machines for the doctor."""

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager

from mps_experiments.machine.gpus import FixedProbe, GpuProbe
from mps_experiments.record.machine import Gpu, GpuProcess
from tests.fakes.plans import FAKE_GPU


class DriverProbe(FixedProbe):
    """NVML of a driver, with device memory in use."""

    def __init__(
        self, gpu: Gpu = FAKE_GPU, processes: tuple[GpuProcess, ...] = (), used_bytes: int | None = 10**9
    ) -> None:
        super().__init__((gpu,), processes)
        self._used_bytes = used_bytes

    def driver_version(self) -> str | None:
        return "580.159.04"

    def cuda_driver_version(self) -> str | None:
        return "13.0"

    def memory_used_bytes(self, uuid: str) -> int | None:  # noqa: ARG002
        return self._used_bytes


def opened(probe: GpuProbe) -> Callable[[], AbstractContextManager[GpuProbe]]:
    """Return what opens NVML, with this probe for NVML."""
    return lambda: contextlib.nullcontext(probe)
