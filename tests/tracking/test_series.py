"""What of a run becomes charts: units, moments, and never a value that nobody measured."""

import itertools
import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow.utils.validation import _validate_metric

from mps_experiments.analysis.runs import condensed
from mps_experiments.record.measurement import Measurement
from mps_experiments.record.samples import WorkerSamples
from mps_experiments.record.telemetry import Telemetry
from mps_experiments.tracking.series import Point, latency_series, telemetry_series
from tests.evidence_records import EPOCH_OFFSET_NS
from tests.fault_records import faulty_run
from tests.records import GPU, INVALID, MACHINE, make_measurement
from tests.tracking.test_fields import START_NS, measured, reading, with_readings

MS = 1_000_000


def with_latencies(*workers_ms: list[int]) -> Measurement:
    """A run whose workers took so many milliseconds for each iteration."""
    run = make_measurement(procs=len(workers_ms))
    workers = tuple(
        replace(
            worker,
            samples=WorkerSamples(
                rank=worker.rank, start_ns=START_NS, latencies_ns=tuple(ms * MS for ms in latencies_ms)
            ),
        )
        for worker, latencies_ms in zip(run.workers, workers_ms, strict=True)
    )
    return replace(run, workers=workers, telemetry=Telemetry(epoch_offset_ns=EPOCH_OFFSET_NS))


def series(run: Measurement) -> dict[str, list[tuple[int, float]]]:
    """Name -> steps and values."""
    found: dict[str, list[tuple[int, float]]] = {}
    for point in latency_series(run):
        found.setdefault(point.name, []).append((point.step, point.value))
    return found


def test_each_worker_has_a_series_with_a_point_for_each_iteration_at_its_end() -> None:
    run = with_latencies([10, 20, 30], [15, 25])
    assert series(run) == {
        "by_iteration/worker_0_ms": [(0, 10.0), (1, 20.0), (2, 30.0)],
        "by_iteration/worker_1_ms": [(0, 15.0), (1, 25.0)],
    }
    ends = [point.at_ms - 1_700_000_005_000 for point in latency_series(run)]
    assert ends == [10, 30, 60, 15, 40]


def test_without_telemetry_only_the_end_of_the_run_is_known() -> None:
    run = replace(with_latencies([10, 20]), telemetry=None)
    assert {point.at_ms for point in latency_series(run)} == {round((run.started_at + run.wall_s) * 1000)}


@settings(max_examples=40)
@given(st.lists(st.integers(1, 700), min_size=1, max_size=12), st.randoms())
def test_there_are_at_most_a_thousand_points_and_each_was_measured(counts: list[int], random: object) -> None:
    latencies = [[random.randint(1, 99) for _ in range(count)] for count in counts]  # type: ignore[attr-defined]
    points = list(latency_series(with_latencies(*latencies)))
    assert 0 < len(points) <= 1000
    assert {point.name.split("_")[2] for point in points} == {str(rank) for rank in range(len(counts))}
    for point in points:
        assert point.value == latencies[int(point.name.split("_")[2])][point.step]


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_what_is_no_finite_number_is_never_logged(value: float) -> None:
    odd = with_readings(measured(), reading(0.5, sm_activity=value))
    names = {point.name for point in telemetry_series(odd)}
    assert "system/gpu_0_sm_activity_percentage" not in names
    assert "system/gpu_0_power_usage_watts" in names


def test_the_series_have_mlflows_names_and_units_and_the_time_of_the_wall_clock() -> None:
    gpu = replace(GPU, index=3)
    run = with_readings(measured(machine=replace(MACHINE, gpu=gpu)), reading(0.25), reading(0.75))
    points = list(telemetry_series(run))
    first = {point.name: point.value for point in points if point.step == 0}
    assert first == pytest.approx(
        {
            "system/gpu_3_utilization_percentage": 90.0,
            "system/gpu_3_memory_usage_megabytes": 3221.225472,
            "system/gpu_3_power_usage_watts": 350.0,
            "system/gpu_3_sm_clock_mhz": 1700.0,
            "system/gpu_3_memory_clock_mhz": 2619.0,
            "system/gpu_3_temperature_celsius": 41.0,
            "system/gpu_3_sm_activity_percentage": 60.0,
            "system/gpu_3_dram_activity_percentage": 20.0,
        }
    )
    assert {(point.step, point.at_ms) for point in points} == {
        (0, 1_700_000_005_250),
        (1, 1_700_000_005_750),
    }


def test_what_one_reading_does_not_tell_is_a_gap_in_its_series() -> None:
    run = with_readings(measured(), reading(0.1), reading(0.2, power_w=None), reading(0.3))
    power = [point.step for point in telemetry_series(run) if "power" in point.name]
    assert power == [0, 2]


def long_series(count: int) -> list[Point]:
    """The temperatures of so many readings, 10 ms apart, each its number."""
    readings = (reading(number / 100, temperature_c=number) for number in range(count))
    found = telemetry_series(with_readings(measured(), *readings))
    return [point for point in found if point.name.endswith("temperature_celsius")]


@pytest.mark.parametrize(
    ("count", "points", "last"),
    [(0, 0, None), (1, 1, 0), (1000, 1000, 999), (1001, 501, 1000), (1500, 750, 1498)],
)
def test_a_long_series_is_thinned_out_evenly_to_a_thousand_points(
    count: int, points: int, last: int | None
) -> None:
    found = long_series(count)
    assert len(found) == points
    assert [point.step for point in found] == list(range(points))
    if last is not None:
        assert (found[0].value, found[-1].value) == (0, last)
        assert found[-1].at_ms == 1_700_000_005_000 + last * 10
        assert len({b.at_ms - a.at_ms for a, b in itertools.pairwise(found)}) <= 1


def test_only_valid_runs_with_samples_have_latencies() -> None:
    run = with_latencies([10] * 2000)
    assert series(replace(run, verdict=INVALID)) == series(condensed(run)) == {}
    assert "by_iteration/worker_1_ms" in series(faulty_run("trial"))
    assert len(list(latency_series(with_latencies(*[[1, 2, 3]] * 1024)))) == 1000


def test_mlflow_takes_every_name_and_value() -> None:
    run = with_readings(measured(), reading(0.25))
    points = [*telemetry_series(run), *latency_series(run), *latency_series(with_latencies([1] * 3000))]
    assert len({point.name for point in points}) == 8 + 2
    for point in points:
        _validate_metric(point.name, point.value, point.at_ms, point.step)
