"""The table of metrics: names, units, and what each row reads."""

from dataclasses import replace

import pytest

from mps_experiments.analysis.keys import comparison_keys
from mps_experiments.analysis.metrics import BY_NAME, METRICS, SHOWN, Readings, logged_values, priced
from mps_experiments.analysis.repeats import Group
from mps_experiments.record.measurement import Measurement
from tests.evidence_records import traced_run, with_telemetry
from tests.records import INVALID, make_measurement, with_latencies
from tests.report_panels import full_sweep


def values(run: Measurement) -> dict[str, float | None]:
    return {metric.name: metric.read(Readings(run)) for metric in METRICS}


def test_names_are_unique_and_say_the_unit() -> None:
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)
    ends: dict[str, str | tuple[str, ...]] = {
        "s": "_s",
        "ms": "_ms",
        "us": "_us",
        "MiB": "_mib",
        "MHz": "_mhz",
        "J": "_j",
        "%": ("_share", "_mean"),
        "W": "_w",
    }
    wrong = [m.name for m in METRICS if m.unit in ends and not m.name.endswith(ends[m.unit])]
    assert wrong == []


def test_a_run_without_evidence_tells_its_figures_only() -> None:
    values = logged_values(make_measurement(procs=2, times=4, makespan_s=2.0, batch=3))
    assert values["throughput_per_s"] == pytest.approx(12.0)
    assert values["latency/p50_ms"] == pytest.approx(500.0)
    assert values["overhead/total_s"] == pytest.approx(2.0)
    assert not [name for name in values if name.startswith(("gpu/", "trace/"))]
    assert logged_values(make_measurement(verdict=INVALID)) == {}


def test_shares_are_shown_as_percent_and_energy_is_per_iteration_of_all_processes() -> None:
    (run,) = [run for run in full_sweep() if run.record_id == "on-2"]
    found = values(run)
    assert (found["trace/overlap_share"], found["trace/gpu_busy_share"]) == (0.125, 0.75)
    assert BY_NAME["trace/overlap_share"].of(Group.of([run])) == 12.5
    assert found["gpu/energy_per_item_j"] == pytest.approx(10 * 4.0 / 200)  # ten steps of 4 J
    assert found["gpu/power_w"] == pytest.approx(
        10 * 4.0 / 1.1
    )  # in 1.1 s, whatever the lagging readings say


def test_without_an_energy_counter_the_power_is_that_of_the_readings() -> None:
    assert values(with_telemetry(traced_run(), power_w=200.0))["gpu/power_w"] == 200.0


def test_overlap_that_cannot_be_told_has_no_value() -> None:
    """One process has nobody to overlap with; without MPS long operations span turns."""
    assert values(traced_run(procs=1))["trace/overlap_share"] is None
    assert values(traced_run(procs=2, mps="off", long=0.5))["trace/overlap_share"] is None
    assert values(traced_run(procs=2, mps="on", long=0.5))["trace/overlap_share"] == 0.125
    assert values(traced_run(procs=2, on_gpu=False))["trace/gpu_busy_share"] is None


def test_what_was_not_measured_has_no_value() -> None:
    assert {
        values(make_measurement())[name]
        for name in ("trace/overlap_share", "trace/gpu_busy_share", "gpu/power_w")
    } == {None}
    without = with_telemetry(traced_run(), utilization=0.5)
    assert values(without)["gpu/power_w"] is None
    assert values(replace(without, verdict=INVALID))["gpu/energy_per_item_j"] is None


def test_a_cell_has_the_median_over_the_runs_that_tell_and_pools_latencies() -> None:
    runs = [
        with_telemetry(traced_run(str(watts), repeat=n), power_w=watts)
        for n, watts in enumerate((100.0, 300.0, 110.0))
    ]
    cell, none = Group.of([*runs, make_measurement()]), Group.of([make_measurement()])
    assert (BY_NAME["gpu/power_w"].shown(cell), BY_NAME["gpu/power_w"].shown(none)) == ("110", "")
    assert BY_NAME["latency/p50_ms"].shown(none) == "500.0"
    longest = Group.of(
        [with_latencies(make_measurement(str(n), times=2, repeat=n), 1, 10 + n) for n in (0, 1, 5)]
    )
    assert BY_NAME["latency/max_ms"].shown(longest) == "15"
    assert [metric.heading for metric in SHOWN[:5]] == [
        "makespan s",
        "{item}s/s",
        "p50 ms",
        "p95 ms",
        "p99 ms",
    ]


def test_an_extreme_of_a_cell_is_that_of_all_its_runs() -> None:
    runs = [
        with_telemetry(traced_run(str(n), repeat=n), memory_used_bytes=gib * 2**30, sm_clock_mhz=mhz)
        for n, (gib, mhz) in enumerate(((15, 1980), (30, 1200), (15, 1980)))
    ]
    cell = Group.of(runs)
    assert BY_NAME["gpu/memory_used_max_mib"].of(cell) == 30 * 1024
    assert BY_NAME["gpu/sm_clock_min_mhz"].of(cell) == 1200
    assert BY_NAME["gpu/sm_clock_mean_mhz"].of(cell) == 1980


def test_the_interval_within_a_run_is_none_of_a_cell_of_several_runs() -> None:
    runs = [make_measurement(str(n), procs=2, times=10, makespan_s=1.0 + n, repeat=n) for n in range(2)]
    ends = [BY_NAME[f"throughput_{end}_per_s"] for end in ("low", "high")]
    assert [end.of(Group.of(runs[:1])) for end in ends] == pytest.approx([20.0, 20.0])
    assert [end.of(Group.of(runs)) for end in ends] == [None, None]
    assert logged_values(runs[1])["throughput_low_per_s"] == pytest.approx(10.0)


def test_a_million_items_cost_energy_and_at_a_price_money() -> None:
    (run,) = [run for run in full_sweep() if run.record_id == "on-2"]
    found = values(priced(run, 3.6))
    assert found["gpu/kwh_per_million_items"] == pytest.approx(0.2 * 1e6 / 3.6e6)  # 0.2 J each
    assert found["cost/per_million_items"] == pytest.approx(1000 * 1.1 / 200)  # 200 images in 1.1 s
    assert {values(each)["cost/per_million_items"] for each in (run, priced(run, 0.0))} == {None}
    assert comparison_keys(priced(run, 1.0)) == comparison_keys(run)
