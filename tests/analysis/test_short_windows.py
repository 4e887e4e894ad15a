"""What windows are too short for, and what would do."""

from dataclasses import replace
from typing import Any

import pytest

from mps_experiments.analysis.comparison import groups
from mps_experiments.analysis.short_windows import short_window_line
from mps_experiments.record.measurement import Measurement
from mps_experiments.record.telemetry import GpuSample, Telemetry
from tests.records import make_measurement, samples


def line(*runs: Measurement) -> str | None:
    return short_window_line(groups(runs))


def run(name: str = "run", **given: Any) -> Measurement:
    return make_measurement(name, **given)


def test_the_times_that_would_do_are_those_of_the_cell_that_needs_the_most() -> None:
    assert line(run("1", times=7), run("2", procs=8, times=7)) == (
        "windows too short: p95 needs 100 iterations over processes and blocks (times=100 would do); "
        "p99 needs 1,000 (times=1000 would do); "
        "the interval within a run needs 8 of each process in the common window (times=10 would do)"
    )
    assert line(run(procs=8, times=120)) == "windows too short: p99 needs 1,000 (times=125 would do)"


def test_blocks_count_together() -> None:
    assert line(*(run(str(n), times=200, repeat=n) for n in range(4))) == (
        "windows too short: p99 needs 1,000 (times=250 would do)"
    )
    assert line(*(run(str(n), times=200, repeat=n) for n in range(5))) is None


def test_a_fixed_window_that_is_common_in_part_needs_more_iterations() -> None:
    two = run(procs=2, times=10)
    early = replace(two.workers[0], samples=samples(0, 0, *[40] * 10))
    late = replace(two.workers[1], samples=samples(1, 0, *[100] * 10))
    fixed = replace(two, workers=(early, late))  # 4 iterations of the late one are in the common window
    needed = "the interval within a run needs 8 of each process in the common window (times=25 would do)"
    assert needed in str(line(fixed))
    kept = replace(fixed, cell=fixed.cell.moved(window="kept"))
    assert "the interval" not in str(line(kept))


def test_a_window_of_given_seconds_is_told_in_seconds() -> None:
    auto = run(times="auto", window_s=2.0, makespan_s=2.0)  # 0.2 s an iteration
    assert "p99 needs 1,000 (window_s=250 would do)" in str(line(auto))


@pytest.mark.parametrize(("makespan_s", "is_short"), [(0.5, True), (1.5, False)])
def test_energy_needs_a_window_of_a_second_where_the_gpu_was_read(makespan_s: float, is_short: bool) -> None:
    read = Telemetry(gpu=(GpuSample(at_ns=5_100_000_000, power_w=300.0),))
    measured = run(times=1000, makespan_s=makespan_s)
    assert line(measured) is None
    short = "windows too short: energy needs 1 s (times=2500 would do)"
    assert line(replace(measured, telemetry=read)) == (short if is_short else None)


def test_long_windows_and_no_windows_have_no_line() -> None:
    assert line(run(times=1000)) is None
    assert short_window_line([]) is None
