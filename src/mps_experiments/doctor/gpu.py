"""The driver, the GPU that is meant, and who else is on it: asked of NVML only."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from mps_experiments.doctor.probing import said_by, within
from mps_experiments.machine.gpus import Gpu, GpuProbe, GpuProcess

OpenGpus = Callable[[], AbstractContextManager[GpuProbe]]


@dataclass(frozen=True, kw_only=True)
class Sight:
    """What NVML told, once; sizes in bytes.

    Attributes:
        driver_version: None without a driver.
        cuda_version: The newest CUDA that the driver supports.
        processes: By a GPU's UUID: those with a compute context.
        memory_used_bytes: By a GPU's UUID; None where nothing tells.
        problem: Why NVML told nothing although it is there; empty if it did.
    """

    gpus: tuple[Gpu, ...] = ()
    driver_version: str | None = None
    cuda_version: str | None = None
    processes: dict[str, tuple[GpuProcess, ...]] = field(default_factory=dict)
    memory_used_bytes: dict[str, int | None] = field(default_factory=dict)
    problem: str = ""


def look(open_gpus: OpenGpus, timeout_s: float) -> Sight:
    """Ask NVML, which has no deadlines of its own; raises nothing."""
    try:
        return within(timeout_s, lambda: _look(open_gpus))
    except TimeoutError:
        return Sight(problem=f"no answer within {timeout_s:g} s")
    except Exception as error:  # a lost GPU, a library that does not fit
        return Sight(problem=said_by(error))


def _look(open_gpus: OpenGpus) -> Sight:
    with open_gpus() as probe:
        gpus = probe.gpus()
        return Sight(
            gpus=gpus,
            driver_version=probe.driver_version(),
            cuda_version=probe.cuda_driver_version(),
            processes={gpu.uuid: probe.compute_processes(gpu.uuid) for gpu in gpus},
            memory_used_bytes={gpu.uuid: probe.memory_used_bytes(gpu.uuid) for gpu in gpus},
        )
