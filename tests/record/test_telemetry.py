"""Readings around a window, condensed; every figure is computed by hand."""

from typing import Any

import pytest

from mps_experiments.record.telemetry import (
    THROTTLING,
    CpuUsage,
    GpuSample,
    Telemetry,
    TelemetrySummary,
    summarise_telemetry,
)

SECOND = 1_000_000_000


def read_at(seconds: float, **values: Any) -> GpuSample:
    return GpuSample(at_ns=round(seconds * SECOND), **values)


def summary(*samples: GpuSample, start: float = 1.0, end: float = 3.0) -> TelemetrySummary:
    window = round(start * SECOND), round(end * SECOND)
    found = summarise_telemetry(Telemetry(gpu=samples), window)
    assert found is not None
    return found


def test_without_a_sample_inside_the_window_there_is_no_summary() -> None:
    window = (SECOND, 3 * SECOND)
    assert summarise_telemetry(Telemetry(), window) is None
    around = Telemetry(gpu=(read_at(0.999, power_w=1.0), read_at(3.001, power_w=1.0)))
    assert summarise_telemetry(around, window) is None


def test_every_mean_is_over_the_samples_inside_the_window_its_ends_included() -> None:
    names = (
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
    values = {0.5: 1000, 1.0: 10, 2.0: 20, 3.0: 60, 3.5: 1000}
    samples = [
        read_at(at, **{name: value + number for number, name in enumerate(names)})
        for at, value in values.items()
    ]
    found = summary(*samples)
    assert found.sample_count == 3
    assert found.mean == {name: pytest.approx(30.0 + number) for number, name in enumerate(names)}


def test_a_mean_is_over_the_samples_that_have_the_value_and_missing_where_none_has() -> None:
    found = summary(read_at(1, power_w=100.0), read_at(2), read_at(3, power_w=300.0))
    assert found.sample_count == 3
    assert found.mean == {"power_w": pytest.approx(200.0)}


def test_the_lowest_clock_and_the_most_memory_are_those_inside_the_window() -> None:
    found = summary(
        read_at(0.9, sm_clock_mhz=100, memory_used_bytes=999),
        read_at(1.5, sm_clock_mhz=1980, memory_used_bytes=5),
        read_at(2.0),
        read_at(2.5, sm_clock_mhz=1500, memory_used_bytes=7),
        read_at(3.1, sm_clock_mhz=100, memory_used_bytes=999),
    )
    assert (found.sm_clock_min_mhz, found.memory_used_max_bytes) == (1500, 7)


def test_a_sample_that_tells_nothing_leaves_everything_unknown() -> None:
    found = summary(read_at(2))
    assert found == TelemetrySummary(
        sample_count=1,
        energy_j=None,
        mean={},
        sm_clock_min_mhz=None,
        memory_used_max_bytes=None,
        reason_shares={},
        throttled_share=0.0,
    )


def test_a_reason_s_share_is_over_the_samples_that_tell_reasons() -> None:
    found = summary(
        read_at(0.5, clock_event_reasons=("hw_slowdown",)),
        read_at(1.0, clock_event_reasons=("gpu_idle", "sw_power_cap")),
        read_at(1.5, clock_event_reasons=("sw_power_cap",)),
        read_at(2.0, clock_event_reasons=()),
        read_at(2.5),
        read_at(3.0, clock_event_reasons=()),
    )
    assert found.reason_shares == {"gpu_idle": 0.25, "sw_power_cap": 0.5}
    assert found.throttled_share == 0.0


@pytest.mark.parametrize("reason", sorted(THROTTLING))
def test_each_reason_but_the_power_limit_counts_as_throttling(reason: str) -> None:
    found = summary(
        read_at(1, clock_event_reasons=(reason,)),
        *(read_at(at, clock_event_reasons=("sw_power_cap", "gpu_idle")) for at in (1.5, 2.0, 2.5)),
    )
    assert found.throttled_share == pytest.approx(0.25)


def test_throttling_reasons_that_take_turns_add_up_and_those_at_once_count_once() -> None:
    found = summary(
        read_at(1.0, clock_event_reasons=("hw_slowdown", "hw_thermal_slowdown")),
        read_at(1.5, clock_event_reasons=("sw_thermal_slowdown",)),
        read_at(2.0, clock_event_reasons=()),
        read_at(2.5, clock_event_reasons=()),
    )
    assert found.throttled_share == pytest.approx(0.5)


# A counter that goes up by 100 J in the first second and by 300 J in each one after it.
COUNTER = (
    read_at(0.5, energy_j=1000.0),
    read_at(1.5, energy_j=1100.0),
    read_at(2.5, energy_j=1400.0),
    read_at(3.5, energy_j=1700.0),
)


def test_energy_is_interpolated_between_the_samples_around_each_end_of_the_window() -> None:
    # At 1.0 s: 1050 J; at 3.0 s: 1550 J.
    assert summary(*COUNTER).energy_j == pytest.approx(500.0)
    # At 1.5 s: 1100 J; at 2.75 s: 1475 J.
    assert summary(*COUNTER, start=1.5, end=2.75).energy_j == pytest.approx(375.0)


def test_a_sample_that_does_not_tell_the_counter_is_skipped_for_the_energy() -> None:
    assert summary(*COUNTER[:2], read_at(2.0), *COUNTER[2:]).energy_j == pytest.approx(500.0)


def test_a_window_as_wide_as_the_samples_has_all_of_their_energy() -> None:
    assert summary(*COUNTER, start=0.5, end=3.5).energy_j == pytest.approx(700.0)


@pytest.mark.parametrize(("end", "expected"), [(1.499, None), (1.5, 75.0)])
def test_a_window_below_a_second_has_no_energy(end: float, expected: float | None) -> None:
    # At 0.5 s: 1000 J; the samples surround the window in both cases.
    samples = (read_at(0.5, energy_j=1000.0), read_at(1.0), read_at(2.5, energy_j=1150.0))
    found = summary(*samples, start=0.5, end=end).energy_j
    assert found == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    "samples",
    [COUNTER[1:], COUNTER[:-1], COUNTER[1:2], (read_at(0.5), *COUNTER[1:]), (*COUNTER[:-1], read_at(3.5))],
    ids=["none before", "none after", "a single one", "nothing told before", "nothing told after"],
)
def test_samples_that_do_not_surround_the_window_give_no_energy(samples: tuple[GpuSample, ...]) -> None:
    assert summary(*samples).energy_j is None


def usage(wait: float | None = None) -> CpuUsage:
    return CpuUsage(
        user_s=5.0, system_s=2.5, voluntary_switches=10, involuntary_switches=4, run_queue_wait_s=wait
    )


def test_cpu_time_is_that_in_both_modes() -> None:
    assert usage().cpu_s == 7.5


def test_what_was_used_since_is_the_difference_of_every_figure() -> None:
    earlier = CpuUsage(
        user_s=1.0, system_s=0.5, voluntary_switches=3, involuntary_switches=1, run_queue_wait_s=0.25
    )
    assert usage(1.0).since(earlier) == CpuUsage(
        user_s=4.0, system_s=2.0, voluntary_switches=7, involuntary_switches=3, run_queue_wait_s=0.75
    )


@pytest.mark.parametrize(("now", "then"), [(None, 0.5), (0.5, None), (None, None)])
def test_a_wait_that_either_moment_does_not_tell_is_unknown(now: float | None, then: float | None) -> None:
    assert usage(now).since(usage(then)).run_queue_wait_s is None
