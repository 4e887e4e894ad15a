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
from mps_experiments.machine.nvml_meter import NvmlMeter, or_none
from mps_experiments.machine.sampler import GpuMeter
from mps_experiments.record.telemetry import POWER_CAP, THROTTLING, GpuSample

DEADLINE_S = 20.0
KNOWN_REASONS = set(nvml_meter._REASON_BITS)
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


MeterOf = Callable[..., NvmlMeter]


@pytest.fixture
def meter_of(monkeypatch: pytest.MonkeyPatch) -> MeterOf:
    """Make meters on a stand-in with given answers."""

    def make(**answers: Any) -> NvmlMeter:
        monkeypatch.setattr(nvml_meter, "pynvml", FakeNvml(**answers))
        return NvmlMeter("GPU-1")

    return make


def test_only_what_nvml_refuses_has_no_answer() -> None:
    def fail() -> int:
        raise KeyError("ours")

    assert or_none(unsupported) is None
    assert or_none(lambda: 0) == 0
    with pytest.raises(KeyError):
        or_none(fail)


def test_a_gpu_that_answers_nothing_gives_samples_without_values_and_no_error(meter_of: MeterOf) -> None:
    meter = meter_of()
    for _ in range(2):
        sample = meter.sample()
        assert sample == GpuSample(at_ns=sample.at_ns)
    assert (meter.share_by_pid(0), meter.sm_clock_max_mhz(), meter.power_limit_w()) == (None, None, None)
    meter.close()


def test_answers_are_converted_to_shares_watts_joules_and_bytes(meter_of: MeterOf) -> None:
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
        nvmlDeviceGetProcessUtilization=lambda _, since_us: [
            SimpleNamespace(pid=100, smUtil=55, memUtil=9),
            SimpleNamespace(pid=since_us, smUtil=3, memUtil=9),
        ],
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
    assert (meter.sm_clock_max_mhz(), meter.power_limit_w()) == (1980, 700.0)
    assert meter.share_by_pid(123) == {100: 0.55, 123: 0.03}


@pytest.mark.parametrize(
    ("bits", "reasons"),
    [
        (pynvml.nvmlClocksThrottleReasonGpuIdle, {"gpu_idle"}),
        (pynvml.nvmlClocksEventReasonSwPowerCap, {POWER_CAP}),
        (
            pynvml.nvmlClocksThrottleReasonHwSlowdown | pynvml.nvmlClocksThrottleReasonHwThermalSlowdown,
            {"hw_slowdown", "hw_thermal_slowdown"},
        ),
        (pynvml.nvmlClocksThrottleReasonAll, KNOWN_REASONS),
        (1 << 40, set()),
    ],
)
def test_the_bits_of_the_reasons_become_names(bits: int, reasons: set[str], meter_of: MeterOf) -> None:
    found = meter_of(nvmlDeviceGetCurrentClocksThrottleReasons=bits).sample().clock_event_reasons
    assert found is not None
    assert sorted(found) == sorted(reasons)


def test_the_checks_name_reasons_that_the_meter_can_tell() -> None:
    assert THROTTLING | {POWER_CAP} <= KNOWN_REASONS


# GPM: activity between two samples


class Gpm:
    """The stand-in's samples: numbered, and each may be freed only once.

    Args:
        codes: Return codes of metrics that differ from success.
        failing: Numbers of the samples that cannot be taken.
        unreadable: True if no pair of samples can be read.
    """

    def __init__(
        self, codes: dict[int, int] | None = None, failing: tuple[int, ...] = (), unreadable: bool = False
    ) -> None:
        self.codes, self.failing, self.unreadable = codes or {}, failing, unreadable
        self.allocated = 0
        self.freed: list[int] = []
        self.pairs: list[tuple[int, int]] = []

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
            metric.value = VALUES[metric.metricId]
            metric.nvmlReturn = self.codes.get(metric.metricId, pynvml.NVML_SUCCESS)
        return request


def number_of(sample: Any) -> int:
    number = ctypes.cast(sample, ctypes.c_void_p).value
    assert number is not None
    return number


OCCUPANCY = pynvml.NVML_GPM_METRIC_SM_OCCUPANCY
VALUES = {  # percent
    pynvml.NVML_GPM_METRIC_SM_UTIL: 40.0,
    OCCUPANCY: 12.5,
    pynvml.NVML_GPM_METRIC_DRAM_BW_UTIL: 7.0,
}
UNKNOWN = (None, None, None)
KNOWN = (0.4, 0.125, 0.07)


def activity(sample: GpuSample) -> tuple[float | None, float | None, float | None]:
    return sample.sm_activity, sample.sm_occupancy, sample.dram_activity


@pytest.mark.parametrize(
    ("gpm", "found", "pairs"),
    [
        (Gpm(), [UNKNOWN, KNOWN, KNOWN], [(1, 2), (2, 3)]),
        (
            Gpm(codes={OCCUPANCY: pynvml.NVML_ERROR_NOT_SUPPORTED}),
            [UNKNOWN, (0.4, None, 0.07)],
            [(1, 2)],
        ),
        (Gpm(failing=(2,)), [UNKNOWN, UNKNOWN, UNKNOWN, KNOWN], [(3, 4)]),
        (Gpm(unreadable=True), [UNKNOWN, UNKNOWN], [(1, 2)]),
    ],
    ids=["supported", "a metric fails", "a sample fails", "unreadable"],
)
def test_activity_is_told_since_the_sample_before_and_each_sample_is_freed_once(
    meter_of: MeterOf, gpm: Gpm, found: list[object], pairs: list[tuple[int, int]]
) -> None:
    meter = meter_of(**gpm.answers())
    assert [activity(meter.sample()) for _ in found] == found
    assert gpm.pairs == pairs
    meter.close()
    meter.close()
    assert sorted(gpm.freed) == list(range(1, len(found) + 1))


def test_a_sample_that_cannot_be_freed_does_not_fail_the_reading(meter_of: MeterOf) -> None:
    meter = meter_of(**Gpm().answers() | {"nvmlGpmSampleFree": unsupported})
    assert [activity(meter.sample()) for _ in range(2)] == [UNKNOWN, KNOWN]
    meter.close()


@pytest.mark.parametrize("support", [unsupported, SimpleNamespace(isSupportedDevice=0)])
def test_a_gpu_without_gpm_is_never_asked_for_a_sample(support: object, meter_of: MeterOf) -> None:
    gpm = Gpm()
    meter = meter_of(**gpm.answers() | {"nvmlGpmQueryDeviceSupport": support})
    assert [activity(meter.sample()) for _ in range(2)] == [UNKNOWN, UNKNOWN]
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
    first = real_meter.sample()
    assert activity(first) == UNKNOWN
    sample = later(real_meter, first, lambda _: True)
    highest, limit_w = real_meter.sm_clock_max_mhz(), real_meter.power_limit_w()
    for value, low, high in (
        (sample.utilization, 0, 1),
        (sample.memory_utilization, 0, 1),
        (sample.memory_used_bytes, 1, 2**50),
        (sample.power_w, 1, 3000),
        (limit_w, 10, 3000),
        (sample.temperature_c, 1, 120),
        (sample.sm_clock_mhz, 1, highest or 0),
        (sample.memory_clock_mhz, 1, 100_000),
    ):
        assert value is not None
        assert low <= value <= high
    assert sample.clock_event_reasons is not None
    assert set(sample.clock_event_reasons) <= KNOWN_REASONS
    assert all(share is None or 0 <= share <= 1.1 for share in activity(sample))
    shares = real_meter.share_by_pid(0)
    assert shares is None or all(0 <= share <= 1 for share in shares.values())


@pytest.mark.gpu
def test_the_energy_of_a_real_gpu_grows_as_its_power_says(real_meter: GpuMeter) -> None:
    first = real_meter.sample()
    assert first.energy_j is not None
    before = first.energy_j
    last = later(real_meter, first, lambda sample: sample.energy_j is not None and sample.energy_j > before)
    assert last.energy_j is not None
    assert 0 < last.energy_j - before < 3000 * (last.at_ns - first.at_ns) / 1e9 + 3000


@pytest.mark.gpu
def test_a_gpu_that_is_not_there_has_no_meter() -> None:
    with open_probe() as probe:
        assert probe.meter("GPU-00000000-0000-0000-0000-000000000000") is None
