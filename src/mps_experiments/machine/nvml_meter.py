"""Read one GPU through NVML, and its activity through GPM if it has that (from Hopper on).

These are queries only: nothing here changes a setting of the GPU.
"""

import math
import time
from collections.abc import Callable
from typing import Any, TypeVar

import pynvml

from mps_experiments.record.telemetry import GpuSample

_T = TypeVar("_T")
# The names with "Throttle" exist in every version of the bindings; the newer ones have the same bits.
_REASON_BITS = {
    "gpu_idle": pynvml.nvmlClocksThrottleReasonGpuIdle,
    "applications_clocks_setting": pynvml.nvmlClocksThrottleReasonApplicationsClocksSetting,
    "sw_power_cap": pynvml.nvmlClocksThrottleReasonSwPowerCap,
    "hw_slowdown": pynvml.nvmlClocksThrottleReasonHwSlowdown,
    "sync_boost": pynvml.nvmlClocksThrottleReasonSyncBoost,
    "sw_thermal_slowdown": pynvml.nvmlClocksThrottleReasonSwThermalSlowdown,
    "hw_thermal_slowdown": pynvml.nvmlClocksThrottleReasonHwThermalSlowdown,
    "hw_power_brake_slowdown": pynvml.nvmlClocksThrottleReasonHwPowerBrakeSlowdown,
    "display_clock_setting": pynvml.nvmlClocksThrottleReasonDisplayClockSetting,
}
_GPM = {
    "sm_activity": pynvml.NVML_GPM_METRIC_SM_UTIL,
    "sm_occupancy": pynvml.NVML_GPM_METRIC_SM_OCCUPANCY,
    "dram_activity": pynvml.NVML_GPM_METRIC_DRAM_BW_UTIL,
}


def or_none(ask: Callable[[], _T]) -> _T | None:
    """Return the answer; None if this GPU or driver does not support the question."""
    try:
        return ask()
    except pynvml.NVMLError:
        return None


class NvmlMeter:
    """A `sampler.GpuMeter` for NVML, which must stay initialised meanwhile."""

    def __init__(self, uuid: str) -> None:
        self._handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)
        support = or_none(lambda: pynvml.nvmlGpmQueryDeviceSupport(self._handle))
        self._has_gpm = bool(support and support.isSupportedDevice)
        self._last: Any = None

    def sample(self) -> GpuSample:
        handle = self._handle
        rates = or_none(lambda: pynvml.nvmlDeviceGetUtilizationRates(handle))
        power = or_none(lambda: pynvml.nvmlDeviceGetPowerUsage(handle))
        energy = or_none(lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(handle))
        memory = or_none(lambda: pynvml.nvmlDeviceGetMemoryInfo(handle))
        return GpuSample(
            at_ns=time.monotonic_ns(),
            utilization=None if rates is None else rates.gpu / 100,
            memory_utilization=None if rates is None else rates.memory / 100,
            memory_used_bytes=None if memory is None else int(memory.used),
            power_w=None if power is None else power / 1000,
            sm_clock_mhz=or_none(lambda: pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM)),
            memory_clock_mhz=or_none(lambda: pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_MEM)),
            temperature_c=or_none(
                lambda: pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU)
            ),
            clock_event_reasons=self._reasons(),
            energy_j=None if energy is None else energy / 1000,
            **self._gpm_since_last(),
        )

    def share_by_pid(self, since_us: int) -> dict[int, float] | None:
        found = or_none(lambda: pynvml.nvmlDeviceGetProcessUtilization(self._handle, since_us))
        return None if found is None else {int(each.pid): each.smUtil / 100 for each in found}

    def sm_clock_max_mhz(self) -> int | None:
        return or_none(lambda: pynvml.nvmlDeviceGetMaxClockInfo(self._handle, pynvml.NVML_CLOCK_SM))

    def power_limit_w(self) -> float | None:
        limit = or_none(lambda: pynvml.nvmlDeviceGetEnforcedPowerLimit(self._handle))
        return None if limit is None else limit / 1000

    def close(self) -> None:
        last, self._last = self._last, None
        if last is not None:
            _free(last)

    def _reasons(self) -> tuple[str, ...] | None:
        bits = or_none(lambda: pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(self._handle))
        return None if bits is None else tuple(name for name, bit in _REASON_BITS.items() if bits & bit)

    def _gpm_since_last(self) -> dict[str, float]:
        """Return the mean activity since the last sample; empty for the first sample and without GPM."""
        last, self._last = self._last, or_none(self._gpm_sample) if self._has_gpm else None
        if last is None:
            return {}
        activity = {} if self._last is None else _between(last, self._last)
        _free(last)
        return activity

    def _gpm_sample(self) -> Any:
        sample = pynvml.nvmlGpmSampleAlloc()
        try:
            return pynvml.nvmlGpmSampleGet(self._handle, sample)
        except pynvml.NVMLError:
            _free(sample)
            raise


def _free(sample: Any) -> None:
    or_none(lambda: pynvml.nvmlGpmSampleFree(sample))


def _between(first: Any, second: Any) -> dict[str, float]:
    request = pynvml.c_nvmlGpmMetricsGet_t()
    request.version = pynvml.NVML_GPM_METRICS_GET_VERSION
    request.numMetrics = len(_GPM)
    request.sample1, request.sample2 = first, second
    for index, metric in enumerate(_GPM.values()):
        request.metrics[index].metricId = metric
    if or_none(lambda: pynvml.nvmlGpmMetricsGet(request)) is None:
        return {}
    return {
        name: answer.value / 100
        for name, answer in zip(_GPM, request.metrics, strict=False)
        if answer.nvmlReturn == pynvml.NVML_SUCCESS and math.isfinite(answer.value)  # too short a time: NaN
    }
