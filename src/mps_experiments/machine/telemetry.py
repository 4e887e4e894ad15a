"""What GPU and CPU did while the workers were measured, sampled by a parent that sleeps in between."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

import psutil

_STOP_TIMEOUT_S = 5.0


@dataclass(frozen=True, kw_only=True)
class GpuSample:
    """The GPU at one moment; None where this GPU or driver does not tell. Shares lie between 0 and 1.

    Attributes:
        at_ns: System-wide monotonic clock.
        utilization: NVML's: share of its last sampling period in which any kernel ran.
        memory_utilization: NVML's: share of that period in which device memory was read or written.
        memory_used_bytes: Device memory in use, by anyone.
        power_w: Power draw; on recent GPUs NVML's average of the last second.
        sm_clock_mhz, memory_clock_mhz: Clocks.
        temperature_c: Of the GPU.
        clock_event_reasons: Why the clock is not higher, by NVML's names; empty: nothing holds it back.
        energy_j: The GPU's counter of all energy since the driver was loaded; it moves about ten times a second.
        sm_activity: Share of multiprocessors with a warp, mean since the sample before (GPM, from Hopper on).
        sm_occupancy: Warps in place, of those that would fit, likewise.
        dram_activity: Share of the device memory's peak bandwidth in use, likewise.
    """

    at_ns: int
    utilization: float | None = None
    memory_utilization: float | None = None
    memory_used_bytes: int | None = None
    power_w: float | None = None
    sm_clock_mhz: int | None = None
    memory_clock_mhz: int | None = None
    temperature_c: int | None = None
    clock_event_reasons: tuple[str, ...] | None = None
    energy_j: float | None = None
    sm_activity: float | None = None
    sm_occupancy: float | None = None
    dram_activity: float | None = None


@dataclass(frozen=True, kw_only=True)
class CpuUse:
    """CPU time spent on this machine between two moments, seconds, by core number.

    Attributes:
        seconds: Between the two moments.
        busy_s: By any process of this machine, this program's included.
        stolen_s: Taken by the hypervisor.
    """

    seconds: float
    busy_s: dict[int, float]
    stolen_s: dict[int, float]


@dataclass(frozen=True, kw_only=True)
class Telemetry:
    """What was sampled around one measured window: it begins before and ends after it.

    Attributes:
        gpu: Samples in order of time; empty without NVML.
        gpu_utilization_by_process: SM share by process id, mean of what NVML counted; None if it cannot tell.
        cpu: None where the kernel does not tell.
        own_cpu_s: CPU time of the parent in between, seconds.
        sm_clock_max_mhz: The highest clock the GPU can have.
        power_limit_w: The limit in force.
    """

    gpu: tuple[GpuSample, ...] = ()
    gpu_utilization_by_process: dict[int, float] | None = None
    cpu: CpuUse | None = None
    own_cpu_s: float = 0.0
    sm_clock_max_mhz: int | None = None
    power_limit_w: float | None = None
