"""Readings of GPU and CPU around one measured window, and the figures that follow from them. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

POWER_CAP = "sw_power_cap"
# Reasons outside the GPU's normal operation: heat, power brake, other hardware. (The power cap is normal.)
THROTTLING = frozenset(
    {"hw_slowdown", "sw_thermal_slowdown", "hw_thermal_slowdown", "hw_power_brake_slowdown"}
)
MIN_ENERGY_WINDOW_S = 1.0  # the counter moves ten times a second


@dataclass(frozen=True, kw_only=True)
class GpuSample:
    """The GPU at one moment; None where this GPU or driver does not report it. Shares lie between 0 and 1.

    Attributes:
        at_ns: Time on the system-wide monotonic clock.
        utilization: Share of NVML's last sampling period in which any kernel ran.
        memory_utilization: Share of that period in which device memory was read or written.
        memory_used_bytes: Device memory in use on the GPU: by any process, and what the driver holds.
        power_w: Power draw; on recent GPUs NVML's average over the last second.
        sm_clock_mhz, memory_clock_mhz: Clocks.
        clock_event_reasons: Reasons why the clock is not higher, by NVML's names; empty if there is none.
        energy_j: The GPU's counter of all energy since the driver was loaded.
        sm_activity: Share of the multiprocessors' time with a resident warp, mean since the previous sample
            (GPM, from Hopper on).
        sm_occupancy: Resident warps as a share of the most that fit, likewise.
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
class CpuUsage:
    """A process's use of the CPU, by all of its threads, between two moments.

    Attributes:
        user_s, system_s: CPU time in user and kernel mode.
        voluntary_switches: Number of times it gave up its core to wait for something.
        involuntary_switches: Number of times its core was taken from it.
        run_queue_wait_s: Time in which its main thread, which launches the work, was ready to run but had no
            core; None where the kernel does not report it.
    """

    user_s: float
    system_s: float
    voluntary_switches: int
    involuntary_switches: int
    run_queue_wait_s: float | None

    @property
    def cpu_s(self) -> float:
        """Return the CPU time in both modes."""
        return self.user_s + self.system_s

    def since(self, earlier: "CpuUsage") -> "CpuUsage":
        """Return the use after `earlier`."""
        now, then = self.run_queue_wait_s, earlier.run_queue_wait_s
        return CpuUsage(
            user_s=self.user_s - earlier.user_s,
            system_s=self.system_s - earlier.system_s,
            voluntary_switches=self.voluntary_switches - earlier.voluntary_switches,
            involuntary_switches=self.involuntary_switches - earlier.involuntary_switches,
            run_queue_wait_s=None if now is None or then is None else now - then,
        )


@dataclass(frozen=True, kw_only=True)
class CoreUse:
    """CPU time spent on this machine's cores between two moments, in seconds, by core number.

    Attributes:
        seconds: Time between the two moments.
        busy_s: Time used by any process, this program's included.
        stolen_s: Time taken by the hypervisor.
    """

    seconds: float
    busy_s: dict[int, float]
    stolen_s: dict[int, float]


@dataclass(frozen=True, kw_only=True)
class Telemetry:
    """Readings around one measured window, from before its start until after its end.

    Attributes:
        epoch_offset_ns: Wall clock minus monotonic clock.
        gpu: Samples in order of time; empty without NVML.
        gpu_share_by_pid: Share of the GPU's multiprocessor time by process id, as NVML counts it; None where
            it does not.
        cores: CPU time by core; None where the kernel does not report it.
        own_cpu_s: CPU time of the parent in between, in seconds.
        problem: Reason why some readings of the GPU are missing; empty if none failed.
    """

    epoch_offset_ns: int = 0
    gpu: tuple[GpuSample, ...] = ()
    gpu_share_by_pid: dict[int, float] | None = None
    cores: CoreUse | None = None
    own_cpu_s: float = 0.0
    sm_clock_max_mhz: int | None = None
    power_limit_w: float | None = None
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class TelemetrySummary:
    """Summary of the samples inside a window; None where nothing was read.

    Attributes:
        sample_count: Number of samples inside the window.
        energy_j: Difference of the energy counter between the window's ends, each interpolated linearly
            between the samples around it; None below 1 s, since the counter moves ten times a second.
        mean: Attribute of `GpuSample` -> its mean.
        memory_used_max_bytes: The largest amount of device memory in use.
        reason_shares: Clock event reason -> share of the samples that had it.
        throttled_share: Share of the samples in which heat, a power brake or other hardware (any of them)
            held the clock down.
    """

    sample_count: int
    energy_j: float | None
    mean: dict[str, float]
    sm_clock_min_mhz: int | None
    memory_used_max_bytes: int | None
    reason_shares: dict[str, float]
    throttled_share: float


_MEANS = (
    "utilization",
    "memory_utilization",
    "power_w",
    "sm_clock_mhz",
    "memory_clock_mhz",
    "temperature_c",
    "sm_activity",
    "sm_occupancy",
    "dram_activity",
)


def summarise_telemetry(telemetry: Telemetry, window_ns: tuple[int, int]) -> TelemetrySummary | None:
    """Summarise the samples inside a window of the monotonic clock; None if there is none."""
    start, end = window_ns
    inside = [sample for sample in telemetry.gpu if start <= sample.at_ns <= end]
    if not inside:
        return None
    with_reasons = [s.clock_event_reasons for s in inside if s.clock_event_reasons is not None]
    reasons = {reason for sample in with_reasons for reason in sample}
    return TelemetrySummary(
        sample_count=len(inside),
        energy_j=_energy_j(telemetry.gpu, start, end),
        mean={name: float(np.mean(values)) for name in _MEANS if (values := _values(inside, name))},
        sm_clock_min_mhz=_extreme(inside, "sm_clock_mhz", min),
        memory_used_max_bytes=_extreme(inside, "memory_used_bytes", max),
        reason_shares={
            reason: sum(reason in sample for sample in with_reasons) / len(with_reasons)
            for reason in sorted(reasons)
        },
        throttled_share=sum(not THROTTLING.isdisjoint(each) for each in with_reasons)
        / max(1, len(with_reasons)),
    )


def _values(samples: Sequence[GpuSample], name: str) -> list[float]:
    return [value for sample in samples if (value := getattr(sample, name)) is not None]


def _extreme(samples: Sequence[GpuSample], name: str, pick: Callable[..., float]) -> int | None:
    values = _values(samples, name)
    return int(pick(values)) if values else None


def _energy_j(samples: Sequence[GpuSample], start: int, end: int) -> float | None:
    known = [(s.at_ns, s.energy_j) for s in samples if s.energy_j is not None]
    if len(known) < 2 or known[0][0] > start or known[-1][0] < end or end - start < MIN_ENERGY_WINDOW_S * 1e9:
        return None
    times = np.asarray([at - start for at, _ in known], dtype=float)
    energies = np.asarray([energy for _, energy in known])
    at_start, at_end = np.interp([0, end - start], times, energies)
    return float(at_end - at_start)
