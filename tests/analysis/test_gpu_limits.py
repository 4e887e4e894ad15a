"""Which resource of the GPU is named, just below and just above each threshold."""

import math
from typing import Any

import pytest

from mps_experiments.analysis.gpu_limits import FoundLimit, Limit, gpu_limit, power_limit
from mps_experiments.analysis.growth import Growth
from mps_experiments.record.measurement import Measurement
from tests.evidence_records import traced_run, with_telemetry

NOT_READ = (
    "How active the multiprocessors were and how much the device memory moved was not read: "
    "which is used up is unknown."
)


def one(**gpu: Any) -> Measurement:
    """10 ms an iteration, all of it on the GPU."""
    return with_telemetry(traced_run("one", procs=1, iteration_ms=10.0, running_ms=10.0), **gpu)


def found(many: Measurement, before: Measurement | None = None) -> FoundLimit:
    return gpu_limit(Growth.between(many, before or one()))


def two(**values: Any) -> Measurement:
    """Two workers of 20 ms an iteration, all of it on the GPU."""
    trace = {name: values.pop(name) for name in ("busy", "sm_fill") if name in values}
    return with_telemetry(traced_run(iteration_ms=20.0, running_ms=20.0, **trace), **values)


@pytest.mark.parametrize(
    ("sm", "dram", "limit", "conclusion"),
    [
        (
            0.79,
            0.59,
            Limit.NEITHER,
            "neither is used up, so something else makes the operations delay each other.",
        ),
        (0.81, 0.59, Limit.MULTIPROCESSORS, "the multiprocessors are used up."),
        (0.79, 0.61, Limit.MEMORY, "memory bandwidth is used up."),
        (0.99, 0.61, Limit.MEMORY, "memory bandwidth is used up."),
    ],
)
def test_by_gpm_memory_counts_from_sixty_percent_and_multiprocessors_from_eighty(
    sm: float, dram: float, limit: Limit, conclusion: str
) -> None:
    assert found(two(sm_activity=sm, dram_activity=dram)) == FoundLimit(
        limit=limit,
        text=f"In the timed window the multiprocessors were active {sm:.0%} of the time "
        f"and the device memory moved {dram:.0%} of its peak: {conclusion}",
    )


def test_gpm_counts_before_the_coarser_figures() -> None:
    gpu = {"sm_activity": 0.3, "dram_activity": 0.2, "memory_utilization": 1.0}
    assert found(two(busy=1.0, sm_fill=1.0, **gpu)).limit is Limit.NEITHER


@pytest.mark.parametrize("gpm", [{"sm_activity": 0.9}, {"dram_activity": 0.9}, {}])
def test_half_of_gpm_is_none(gpm: dict[str, float]) -> None:
    assert found(two(**gpm)) == FoundLimit(limit=Limit.NOT_READ, text=NOT_READ)


def test_a_reading_that_is_no_number_is_none() -> None:
    assert found(two(sm_activity=math.nan, dram_activity=0.9)).text == NOT_READ


@pytest.mark.parametrize(("memory", "limit"), [(0.79, Limit.NOT_READ), (0.81, Limit.MEMORY)])
def test_without_gpm_nvmls_memory_counts_from_eighty_percent_and_is_called_coarse(
    memory: float, limit: Limit
) -> None:
    coarse = "NVML counted the device memory as in use 81% of the time (a coarse figure)."
    expected = coarse if limit is Limit.MEMORY else NOT_READ
    assert found(two(memory_utilization=memory)) == FoundLimit(limit=limit, text=expected)


@pytest.mark.parametrize(
    ("fill", "busy", "limit"),
    [
        (0.81, 0.91, Limit.MULTIPROCESSORS),
        (0.79, 0.91, Limit.NOT_READ),
        (0.81, 0.89, Limit.NOT_READ),
        (None, 1.0, Limit.NOT_READ),
    ],
)
def test_without_gpm_launches_must_fill_the_gpu_nearly_always(
    fill: float | None, busy: float, limit: Limit
) -> None:
    by_size = (
        "In the traced pass operations ran 91% of the time, and their launches reach 81% of the "
        "multiprocessors (by their size: how active these were was not read)."
    )
    expected = by_size if limit is Limit.MULTIPROCESSORS else NOT_READ
    assert found(two(sm_fill=fill, busy=busy)) == FoundLimit(limit=limit, text=expected)


def test_without_any_telemetry_the_limit_is_unknown() -> None:
    bare = traced_run("one", procs=1, iteration_ms=10.0, running_ms=10.0)
    assert found(traced_run(iteration_ms=20.0, running_ms=20.0), bare).text == NOT_READ


CLOCK: dict[str, Any] = {"iteration_ms": 12.0, "running_ms": 12.0}  # 2 ms more than alone


def slower(clock_mhz: int, capped: float = 1.0, **trace: float) -> FoundLimit | None:
    many = with_telemetry(traced_run(**(CLOCK | trace)), sm_clock_mhz=clock_mhz, capped=capped)
    return power_limit(Growth.between(many, one(sm_clock_mhz=1980)))


def test_the_power_limit_counts_if_the_clock_explains_most_of_the_growth() -> None:
    """Of the 2 ms a clock lower by 1.13 explains 1.3 ms, one lower by 1.11 only 1.1 ms."""
    text = (
        "The SM clock was 1.13 times as high with one process, the power limit held it down in 100% of the "
    )
    assert slower(1752) == FoundLimit(limit=Limit.CLOCK, text=f"{text}readings.")
    assert slower(1784) is None


def test_a_clock_that_fell_for_another_reason_is_not_the_power_limits_doing() -> None:
    assert slower(1650, capped=0.5) is not None
    assert slower(1650, capped=0.4) is None


def test_a_lower_clock_explains_nothing_where_operations_did_not_take_longer() -> None:
    assert slower(1650, running_ms=10.0, behind_ms=2.0) is None


def test_a_clock_within_three_percent_did_not_fall() -> None:
    """Also where it would explain all of the growth: 0.2 ms of 10."""
    assert slower(1942, iteration_ms=10.2, running_ms=10.2) is None


@pytest.mark.parametrize(
    ("clock_mhz", "capped", "added"),
    [
        (1923, 0.2, ""),
        (
            1900,
            0.2,
            " The SM clock was 1.04 times as high with one process, "
            "the power limit held it down in 20% of the readings.",
        ),
        (1900, 0.0, " The SM clock was 1.04 times as high with one process."),
    ],
)
def test_a_lower_clock_is_told_beside_another_limit(clock_mhz: int, capped: float, added: str) -> None:
    many = two(memory_utilization=0.9, sm_clock_mhz=clock_mhz, capped=capped)
    limit = found(many, one(sm_clock_mhz=1980))
    assert limit.limit is Limit.MEMORY
    assert limit.text == (
        f"NVML counted the device memory as in use 90% of the time (a coarse figure).{added}"
    )
