"""One GPU through NVML: a stand-in for its bindings, and the real thing where there is one."""

import ctypes
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

from mps_experiments.machine import nvml_meter
from mps_experiments.machine.gpus import open_probe
from mps_experiments.machine.nvml_meter import NvmlMeter
from mps_experiments.machine.sampler import GpuMeter
from mps_experiments.record.telemetry import POWER_CAP, THROTTLING, GpuSample

DEADLINE_S = 20.0
KNOWN_REASONS = {
    "gpu_idle",
    "applications_clocks_setting",
    "sw_power_cap",
    "hw_slowdown",
    "sync_boost",
    "sw_thermal_slowdown",
    "hw_thermal_slowdown",
    "hw_power_brake_slowdown",
    "display_clock_setting",
}
HANDLE = object()


def unsupported(*_: object) -> None:
    raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)


class FakeNvml:
    """The bindings with their real constants and types, whose questions are unsupported unless answered.

    Args:
        answers: By name of the function: the answer, or what is called for it.
    """

    def __init__(self, **answers: Any) -> None:
        self._answers = {"nvmlDeviceGetHandleByUUID": HANDLE} | answers

    def __getattr__(self, name: str) -> Any:
        if name in self._answers:
            answer = self._answers[name]
            return answer if callable(answer) else lambda *_: answer
        real = getattr(pynvml, name)
        return unsupported if name.startswith("nvml") and callable(real) else real


@pytest.fixture
def meter_of(monkeypatch: pytest.MonkeyPatch) -> Callable[..., NvmlMeter]:
    """Make meters on a stand-in with given answers."""

    def make(**answers: Any) -> NvmlMeter:
        monkeypatch.setattr(nvml_meter, "pynvml", FakeNvml(**answers))
        return NvmlMeter("GPU-1")

    return make


def test_a_gpu_that_answers_nothing_gives_samples_without_values_and_no_error(
    meter_of: Callable[..., NvmlMeter],
) -> None:
    meter = meter_of()
    for _ in range(2):
        sample = meter.sample()
        assert sample == GpuSample(at_ns=sample.at_ns)
    assert meter.share_by_pid(0) is None
    assert meter.sm_clock_max_mhz() is None
    assert meter.power_limit_w() is None
    meter.close()


def test_answers_are_converted_to_shares_watts_joules_and_bytes(meter_of: Callable[..., NvmlMeter]) -> None:
    clocks = {pynvml.NVML_CLOCK_SM: 1755, pynvml.NVML_CLOCK_MEM: 2619}
    meter = meter_of(
        nvmlDeviceGetUtilizationRates=SimpleNamespace(gpu=37, memory=4),
        nvmlDeviceGetPowerUsage=345_600,
        nvmlDeviceGetTotalEnergyConsumption=12_345_678,
        nvmlDeviceGetMemoryInfo=SimpleNamespace(total=80, used=7, free=73),
        nvmlDeviceGetClockInfo=lambda _, kind: clocks[kind],
        nvmlDeviceGetTemperature=41,
        nvmlDeviceGetCurrentClocksThrottleReasons=0,
        nvmlDeviceGetMaxClockInfo=lambda _, kind: {pynvml.NVML_CLOCK_SM: 1980}[kind],
        nvmlDeviceGetEnforcedPowerLimit=700_000,
    )
    before = time.monotonic_ns()
    sample = meter.sample()
    assert before <= sample.at_ns <= time.monotonic_ns()
    assert sample == GpuSample(
        at_ns=sample.at_ns,
        utilization=0.37,
        memory_utilization=0.04,
        memory_used_bytes=7,
        power_w=345.6,
        sm_clock_mhz=1755,
        memory_clock_mhz=2619,
        temperature_c=41,
        clock_event_reasons=(),
        energy_j=12_345.678,
    )
    assert meter.sm_clock_max_mhz() == 1980
    assert meter.power_limit_w() == 700.0


@pytest.mark.parametrize(
    ("bits", "reasons"),
    [
        (pynvml.nvmlClocksThrottleReasonGpuIdle, {"gpu_idle"}),
        (pynvml.nvmlClocksThrottleReasonSwPowerCap, {POWER_CAP}),
        (pynvml.nvmlClocksEventReasonSwPowerCap, {POWER_CAP}),
        (
            pynvml.nvmlClocksThrottleReasonHwSlowdown | pynvml.nvmlClocksThrottleReasonHwThermalSlowdown,
            {"hw_slowdown", "hw_thermal_slowdown"},
        ),
        (pynvml.nvmlClocksThrottleReasonAll, KNOWN_REASONS),
        (1 << 40, set()),
    ],
)
def test_the_bits_of_the_reasons_become_names(
    bits: int, reasons: set[str], meter_of: Callable[..., NvmlMeter]
) -> None:
    found = meter_of(nvmlDeviceGetCurrentClocksThrottleReasons=bits).sample().clock_event_reasons
    assert found is not None
    assert set(found) == reasons
    assert len(found) == len(reasons)


def test_the_checks_name_reasons_that_the_meter_can_tell() -> None:
    assert THROTTLING | {POWER_CAP} <= KNOWN_REASONS


def test_the_share_of_a_process_is_its_share_of_the_multiprocessors(
    meter_of: Callable[..., NvmlMeter],
) -> None:
    asked: list[tuple[object, int]] = []

    def utilization(handle: object, since_us: int) -> list[SimpleNamespace]:
        asked.append((handle, since_us))
        return [SimpleNamespace(pid=100, smUtil=55, memUtil=9), SimpleNamespace(pid=7, smUtil=3, memUtil=9)]

    meter = meter_of(nvmlDeviceGetProcessUtilization=utilization)
    assert meter.share_by_pid(123) == {100: 0.55, 7: 0.03}
    assert asked == [(HANDLE, 123)]


# GPM: activity between two samples


class Gpm:
    """The stand-in's samples: numbered, and each may be freed only once.

    Args:
        values: Percent by metric id, for every pair of samples.
        codes: Return codes of metrics that differ from success.
        failing: Numbers of the samples that cannot be taken.
    """

    def __init__(
        self, values: dict[int, float], codes: dict[int, int] | None = None, failing: tuple[int, ...] = ()
    ) -> None:
        self.values, self.codes, self.failing = values, codes or {}, failing
        self.allocated = 0
        self.freed: list[int] = []
        self.pairs: list[tuple[int, int]] = []
        self.unreadable = False

    def answers(self) -> dict[str, Any]:
        return {
            "nvmlGpmQueryDeviceSupport": SimpleNamespace(isSupportedDevice=1),
            "nvmlGpmSampleAlloc": self._allocate,
            "nvmlGpmSampleGet": self._get,
            "nvmlGpmSampleFree": self._free,
            "nvmlGpmMetricsGet": self._metrics,
        }

    def _allocate(self) -> Any:
        self.allocated += 1
        return ctypes.cast(ctypes.c_void_p(self.allocated), pynvml.c_nvmlGpmSample_t)

    def _get(self, handle: object, sample: Any) -> Any:
        assert handle is HANDLE
        if number_of(sample) in self.failing:
            unsupported()
        return sample

    def _free(self, sample: Any) -> None:
        assert number_of(sample) not in self.freed
        self.freed.append(number_of(sample))

    def _metrics(self, request: Any) -> Any:
        first, second = number_of(request.sample1), number_of(request.sample2)
        assert not {first, second} & set(self.freed)
        self.pairs.append((first, second))
        if self.unreadable:
            unsupported()
        assert request.version == pynvml.NVML_GPM_METRICS_GET_VERSION
        for index in range(request.numMetrics):
            metric = request.metrics[index]
            metric.value = self.values[metric.metricId]
            metric.nvmlReturn = self.codes.get(metric.metricId, pynvml.NVML_SUCCESS)
        return request


def number_of(sample: Any) -> int:
    number = ctypes.cast(sample, ctypes.c_void_p).value
    assert number is not None
    return number


SM, OCCUPANCY, DRAM = (
    pynvml.NVML_GPM_METRIC_SM_UTIL,
    pynvml.NVML_GPM_METRIC_SM_OCCUPANCY,
    pynvml.NVML_GPM_METRIC_DRAM_BW_UTIL,
)
VALUES = {SM: 40.0, OCCUPANCY: 12.5, DRAM: 7.0}


def activity(sample: GpuSample) -> tuple[float | None, float | None, float | None]:
    return sample.sm_activity, sample.sm_occupancy, sample.dram_activity


def test_activity_is_told_from_the_second_sample_on_as_shares_since_the_one_before(
    meter_of: Callable[..., NvmlMeter],
) -> None:
    gpm = Gpm(VALUES)
    meter = meter_of(**gpm.answers())
    assert activity(meter.sample()) == (None, None, None)
    assert activity(meter.sample()) == (0.4, 0.125, 0.07)
    meter.sample()
    assert gpm.pairs == [(1, 2), (2, 3)]


def test_every_sample_is_freed_exactly_once_also_if_the_meter_is_closed_twice(
    meter_of: Callable[..., NvmlMeter],
) -> None:
    gpm = Gpm(VALUES)
    meter = meter_of(**gpm.answers())
    for _ in range(3):
        meter.sample()
    assert gpm.freed == [1, 2]
    meter.close()
    meter.close()
    assert gpm.freed == [1, 2, 3]


def test_a_metric_whose_return_code_is_not_success_is_left_out(meter_of: Callable[..., NvmlMeter]) -> None:
    gpm = Gpm(VALUES, codes={OCCUPANCY: pynvml.NVML_ERROR_NOT_SUPPORTED})
    meter = meter_of(**gpm.answers())
    meter.sample()
    assert activity(meter.sample()) == (0.4, None, 0.07)


def test_a_sample_that_cannot_be_taken_is_freed_and_the_next_pair_begins_after_it(
    meter_of: Callable[..., NvmlMeter],
) -> None:
    gpm = Gpm(VALUES, failing=(2,))
    meter = meter_of(**gpm.answers())
    found = [activity(meter.sample())[0] for _ in range(4)]
    assert found == [None, None, None, 0.4]
    assert gpm.pairs == [(3, 4)]
    meter.close()
    assert sorted(gpm.freed) == [1, 2, 3, 4]


def test_metrics_that_cannot_be_read_leave_the_activity_unknown_and_free_the_samples(
    meter_of: Callable[..., NvmlMeter],
) -> None:
    gpm = Gpm(VALUES)
    gpm.unreadable = True
    meter = meter_of(**gpm.answers())
    assert [activity(meter.sample()) for _ in range(2)] == [(None, None, None)] * 2
    meter.close()
    assert gpm.freed == [1, 2]


def test_a_sample_that_cannot_be_freed_does_not_fail_the_reading(meter_of: Callable[..., NvmlMeter]) -> None:
    meter = meter_of(**Gpm(VALUES).answers() | {"nvmlGpmSampleFree": unsupported})
    meter.sample()
    assert activity(meter.sample()) == (0.4, 0.125, 0.07)
    meter.close()


@pytest.mark.parametrize("support", [unsupported, SimpleNamespace(isSupportedDevice=0)])
def test_a_gpu_without_gpm_is_never_asked_for_a_sample(
    support: object, meter_of: Callable[..., NvmlMeter]
) -> None:
    gpm = Gpm(VALUES)
    meter = meter_of(**gpm.answers() | {"nvmlGpmQueryDeviceSupport": support})
    assert [activity(meter.sample()) for _ in range(2)] == [(None, None, None)] * 2
    meter.close()
    assert (gpm.allocated, gpm.freed) == (0, [])


# A real GPU


@pytest.fixture
def real_meter() -> Iterator[GpuMeter]:
    with open_probe() as probe:
        meter = probe.meter(probe.gpus()[0].uuid)
        assert meter is not None
        try:
            yield meter
        finally:
            meter.close()


def later(meter: GpuMeter, first: GpuSample, enough: Callable[[GpuSample], bool]) -> GpuSample:
    """Return the first wanted reading at least 0.3 s after another. Fail after a deadline."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        sample = meter.sample()
        if sample.at_ns - first.at_ns >= 300_000_000 and enough(sample):
            return sample
        time.sleep(0.05)
    return pytest.fail(f"waited {DEADLINE_S:g} s for a reading")


@pytest.mark.gpu
def test_a_real_gpu_reads_in_plausible_ranges(real_meter: GpuMeter) -> None:
    sample = later(real_meter, real_meter.sample(), lambda _: True)
    assert sample.utilization is not None
    assert 0 <= sample.utilization <= 1
    assert sample.memory_utilization is not None
    assert 0 <= sample.memory_utilization <= 1
    assert sample.memory_used_bytes is not None
    assert sample.memory_used_bytes > 0
    assert sample.power_w is not None
    assert 1 < sample.power_w < 3000
    assert sample.temperature_c is not None
    assert 0 < sample.temperature_c < 120
    assert sample.clock_event_reasons is not None
    assert set(sample.clock_event_reasons) <= KNOWN_REASONS


@pytest.mark.gpu
def test_the_clock_of_a_real_gpu_is_at_most_its_highest(real_meter: GpuMeter) -> None:
    sample, highest = real_meter.sample(), real_meter.sm_clock_max_mhz()
    assert sample.sm_clock_mhz is not None
    assert highest is not None
    assert 0 < sample.sm_clock_mhz <= highest
    assert sample.memory_clock_mhz is not None
    assert sample.memory_clock_mhz > 0


@pytest.mark.gpu
def test_the_power_limit_of_a_real_gpu_is_plausible(real_meter: GpuMeter) -> None:
    limit = real_meter.power_limit_w()
    assert limit is not None
    assert 10 < limit < 3000


@pytest.mark.gpu
def test_the_energy_of_a_real_gpu_grows_as_its_power_says(real_meter: GpuMeter) -> None:
    first = real_meter.sample()
    assert first.energy_j is not None
    before = first.energy_j
    last = later(real_meter, first, lambda sample: sample.energy_j is not None and sample.energy_j > before)
    assert last.energy_j is not None
    assert 0 < last.energy_j - before < 3000 * (last.at_ns - first.at_ns) / 1e9 + 3000


@pytest.mark.gpu
def test_the_activity_of_a_real_gpu_is_a_share_or_unknown(real_meter: GpuMeter) -> None:
    first = real_meter.sample()
    assert activity(first) == (None, None, None)
    for share in activity(later(real_meter, first, lambda _: True)):
        assert share is None or 0 <= share <= 1.1


@pytest.mark.gpu
def test_the_shares_of_processes_on_a_real_gpu_are_shares(real_meter: GpuMeter) -> None:
    shares = real_meter.share_by_pid(0)
    assert shares is None or all(0 <= share <= 1 for share in shares.values())


@pytest.mark.gpu
def test_a_gpu_that_is_not_there_has_no_meter() -> None:
    with open_probe() as probe:
        assert probe.meter("GPU-00000000-0000-0000-0000-000000000000") is None
