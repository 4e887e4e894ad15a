"""What of a run's evidence becomes metrics: units, and nothing that is not known."""

import math
from dataclasses import replace
from typing import Any

import pytest

from mps_experiments.record.measurement import Measurement
from mps_experiments.record.outputs import OutputDifference
from mps_experiments.record.telemetry import POWER_CAP, GpuSample, Telemetry
from mps_experiments.tracking.fields import metrics_of
from tests.evidence_records import (
    EPOCH_OFFSET_NS,
    traced_run,
    with_core_waits,
)
from tests.records import MACHINE, make_measurement

START_NS = 5_000_000_000  # of every record's window
SECOND_NS = 1_000_000_000
READING: dict[str, Any] = {
    "utilization": 0.9,
    "memory_utilization": 0.4,
    "memory_used_bytes": 3 * 2**30,
    "power_w": 350.0,
    "sm_clock_mhz": 1700,
    "memory_clock_mhz": 2619,
    "temperature_c": 41,
    "sm_activity": 0.6,
    "sm_occupancy": 0.3,
    "dram_activity": 0.2,
}


def evidence_metrics(run: Measurement) -> dict[str, float]:
    """What MLflow gets beside the figures of a run."""
    usual = ("elapsed_s", "rss_max_mib", "torch_peak_max_mib")
    kinds = ("gpu/", "trace/", "worker", "output/")
    found = metrics_of(run).items()
    return {name: value for name, value in found if name.startswith(kinds) and not name.endswith(usual)}


def measured(mps: str = "on", **parts: Any) -> Measurement:
    """Two workers, 100 iterations of 20 ms each: a window of 2 s."""
    values = {"iteration_ms": 20.0, "running_ms": 8.0, "behind_ms": 3.0, "idle_ms": 1.0}
    return traced_run(mps=mps, **(values | parts))


def reading(at_s: float, **values: Any) -> GpuSample:
    """A reading so many seconds after the window's start; the counter moves by 100 J/s."""
    energy_j = 5000 + 100 * at_s
    return GpuSample(at_ns=START_NS + round(at_s * SECOND_NS), **({"energy_j": energy_j} | READING | values))


def with_readings(run: Measurement, *readings: GpuSample) -> Measurement:
    return replace(run, telemetry=Telemetry(epoch_offset_ns=EPOCH_OFFSET_NS, gpu=readings))


def watched() -> Measurement:
    """Two readings outside the window, which would change every mean, and two inside."""
    outside = dict.fromkeys(READING, 0) | {"clock_event_reasons": ("hw_slowdown", POWER_CAP)}
    return with_readings(
        measured(),
        reading(-0.1, **outside),
        reading(0.5, sm_clock_mhz=1500, memory_used_bytes=2**30, clock_event_reasons=(POWER_CAP,)),
        reading(1.5, clock_event_reasons=()),
        reading(2.1, **outside),
    )


def test_the_gpus_figures_are_of_the_window_and_in_the_units_of_their_names() -> None:
    found = {name: value for name, value in evidence_metrics(watched()).items() if name[:4] == "gpu/"}
    assert found == pytest.approx(
        {
            "gpu/energy_j": 200.0,
            "gpu/energy_per_item_j": 1.0,  # 200 iterations of both workers
            "gpu/kwh_per_million_items": 1 / 3.6,
            "gpu/power_w": 100.0,  # 200 J in 2 s
            "gpu/power_mean_w": 350.0,
            "gpu/utilization_mean": 0.9,
            "gpu/sm_activity_mean": 0.6,
            "gpu/sm_occupancy_mean": 0.3,
            "gpu/dram_activity_mean": 0.2,
            "gpu/sm_clock_mean_mhz": 1600.0,
            "gpu/sm_clock_min_mhz": 1500.0,
            "gpu/memory_clock_mean_mhz": 2619.0,
            "gpu/memory_used_max_mib": 3072.0,
            "gpu/throttled_share": 0.0,
            "gpu/power_capped_share": 0.5,
        }
    )


def test_what_the_gpu_does_not_tell_is_no_metric() -> None:
    bare = with_readings(measured(), GpuSample(at_ns=START_NS), GpuSample(at_ns=START_NS + SECOND_NS))
    assert [name for name in evidence_metrics(bare) if name.startswith("gpu/")] == []
    powered = with_readings(measured(), GpuSample(at_ns=START_NS, power_w=70.0))
    found = {name: value for name, value in evidence_metrics(powered).items() if name[:4] == "gpu/"}
    assert found == {"gpu/power_w": 70.0, "gpu/power_mean_w": 70.0}


@pytest.mark.parametrize("telemetry", [None, Telemetry(), Telemetry(gpu=(reading(-1.0), reading(9.0)))])
def test_without_readings_in_the_window_there_are_no_figures_of_the_gpu(telemetry: Telemetry | None) -> None:
    found = evidence_metrics(replace(measured(), telemetry=telemetry))
    assert [name for name in found if name.startswith("gpu/")] == []


def test_the_traced_passs_figures_are_means_over_workers_in_the_units_of_their_names() -> None:
    found = {name: value for name, value in evidence_metrics(measured()).items() if name[:6] == "trace/"}
    assert found == pytest.approx(
        {
            "trace/gpu_busy_share": 0.75,
            "trace/overlap_share": 0.125,
            "trace/mean_active_workers": 1.125,
            "trace/gaps_per_s": 500.0,
            "trace/gap_p50_us": 25.0,
            "trace/kernel_time_per_iteration_ms": 8.0,
            "trace/kernels_per_iteration": 200.0,
            "trace/behind_others_ms": 3.0,
            "trace/waiting_idle_ms": 1.0,
            "trace/iteration_ms": 20.0,
        }
    )


def test_unlike_workers_count_alike() -> None:
    run = measured()
    assert run.activity is not None
    first, second = run.activity.workers
    slow = replace(second, operations=400.0, operations_s=0.016, iteration_s=0.040, behind_others_s=0.0)
    found = evidence_metrics(replace(run, activity=replace(run.activity, workers=(first, slow))))
    assert found["trace/kernels_per_iteration"] == pytest.approx(300.0)
    assert found["trace/kernel_time_per_iteration_ms"] == pytest.approx(12.0)
    assert found["trace/iteration_ms"] == pytest.approx(30.0)
    assert found["trace/behind_others_ms"] == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("run", "tells"),
    [
        (measured(mps="off"), True),
        (measured(mps="off", long=0.9), False),
        (measured(mps="on", long=0.9), True),
        (measured(procs=1), False),
    ],
    ids=["short", "long", "long under MPS", "one worker"],
)
def test_overlap_is_left_out_where_it_means_nothing(run: Measurement, tells: bool) -> None:
    assert run.activity is not None
    assert run.activity.tells_overlap(run.cell.mps == "on") is tells
    names = {"trace/overlap_share", "trace/mean_active_workers"}
    assert names & evidence_metrics(run).keys() == (names if tells else set())
    assert evidence_metrics(run)["trace/gpu_busy_share"] == 0.75


def test_a_run_on_the_cpu_has_neither_kernels_nor_a_gpu() -> None:
    run = measured(on_gpu=False, machine=replace(MACHINE, gpu=None), device="cpu")
    cpu = replace(with_core_waits(run, 0.0, 0.0), telemetry=Telemetry(own_cpu_s=1.0))
    assert {name.split("/")[0] for name in evidence_metrics(cpu)} == {"worker_0", "worker_1", "workers"}


def test_each_worker_tells_its_use_of_the_cpu() -> None:
    found = evidence_metrics(with_core_waits(measured(), 0.25, None))
    expected = {
        f"worker_{rank}/{name}": value
        for rank in (0, 1)
        for name, value in {
            "cores_used": 0.75,
            "core_wait_s": 0.5,
        }.items()
    }
    del expected["worker_1/core_wait_s"]  # the kernel did not tell
    expected |= {"workers/cpu_s": 3.0, "workers/voluntary_switches": 60, "workers/involuntary_switches": 8}
    assert {name: value for name, value in found.items() if name[:6] == "worker"} == pytest.approx(expected)


def test_a_sum_over_workers_needs_each_of_them() -> None:
    run = with_core_waits(measured(), 0.25, 0.25)
    first, second = run.workers
    assert second.done is not None
    silent = replace(second, done=replace(second.done, cpu=None))
    found = evidence_metrics(replace(run, workers=(first, silent)))
    assert "worker_0/cores_used" in found
    assert [name for name in found if name.startswith("workers/")] == []


def parity(largest: float, compared: int = 8) -> OutputDifference:
    return OutputDifference(identical=False, largest=largest, excess=0.1, where="0.boxes", compared=compared)


def test_the_workers_largest_difference_is_a_metric_where_values_were_compared() -> None:
    name = "output/largest_difference"
    assert evidence_metrics(replace(make_measurement(), parity=parity(1e-5))) == {name: 1e-5}
    assert evidence_metrics(replace(make_measurement(), parity=parity(0.0, compared=0))) == {}
    assert evidence_metrics(make_measurement()) == {}


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_what_is_no_finite_number_is_never_logged(value: float) -> None:
    odd = with_readings(replace(measured(), parity=parity(value)), reading(0.5, sm_activity=value))
    found = evidence_metrics(odd)
    assert "output/largest_difference" not in found
    assert "gpu/sm_activity_mean" not in found
    assert all(math.isfinite(each) for each in found.values())
