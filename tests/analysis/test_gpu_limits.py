"""Which resource of the GPU is named, just below and just above each threshold."""

import math
from typing import Any

import pytest

from mps_experiments.analysis.gpu_limits import Cause, gpu_limit, is_power_limited
from mps_experiments.analysis.growth import Growth
from mps_experiments.record.measurement import Measurement
from tests.evidence_records import traced_run, with_telemetry


def one(**gpu: Any) -> Measurement:
    """10 ms an iteration, all of it on the GPU."""
    return with_telemetry(traced_run("one", procs=1, iteration_ms=10.0, running_ms=10.0), **gpu)


def two(**values: Any) -> Measurement:
    """Two workers of 20 ms an iteration, all of it on the GPU."""
    trace = {name: values.pop(name) for name in ("busy", "sm_fill") if name in values}
    return with_telemetry(traced_run(iteration_ms=20.0, running_ms=20.0, **trace), **values)


def found(many: Measurement, before: Measurement | None = None) -> tuple[Cause, str]:
    return gpu_limit(Growth.between(many, before or one()))


@pytest.mark.parametrize(
    ("gpu", "cause", "shown"),
    [
        ({"sm_activity": 0.79, "dram_activity": 0.59}, Cause.CONTENTION, ("79 %", "59 %", "neither")),
        (
            {"sm_activity": 0.81, "dram_activity": 0.59},
            Cause.MULTIPROCESSORS,
            ("81 %", "multiprocessors are"),
        ),
        ({"sm_activity": 0.79, "dram_activity": 0.61}, Cause.MEMORY, ("61 %", "memory bandwidth is used up")),
        ({"sm_activity": 0.99, "dram_activity": 0.61}, Cause.MEMORY, ("99 %", "61 %")),
        # GPM counts before the coarser figures; half of it is none
        (
            {
                "sm_activity": 0.3,
                "dram_activity": 0.2,
                "memory_utilization": 1.0,
                "busy": 1.0,
                "sm_fill": 1.0,
            },
            Cause.CONTENTION,
            ("30 %", "20 %"),
        ),
        ({"sm_activity": 0.9}, Cause.GPU, ("unknown",)),
        ({"dram_activity": 0.9}, Cause.GPU, ("unknown",)),
        ({"sm_activity": math.nan, "dram_activity": 0.9}, Cause.GPU, ("unknown",)),
        ({"memory_utilization": 0.79}, Cause.GPU, ("unknown",)),
        ({"memory_utilization": 0.81}, Cause.MEMORY, ("81 %", "coarse")),
        ({"sm_fill": 0.81, "busy": 0.91}, Cause.MULTIPROCESSORS, ("81 %", "91 %", "was not read")),
        ({"sm_fill": 0.79, "busy": 0.91}, Cause.GPU, ("unknown",)),
        ({"sm_fill": 0.81, "busy": 0.89}, Cause.GPU, ("unknown",)),
        ({"sm_fill": None, "busy": 1.0}, Cause.GPU, ("unknown",)),
        ({}, Cause.GPU, ("unknown",)),
    ],
)
def test_a_resource_is_named_from_its_threshold_on_with_its_figures(
    gpu: dict[str, Any], cause: Cause, shown: tuple[str, ...]
) -> None:
    limit, text = found(two(**gpu))
    assert limit is cause
    assert [words for words in shown if words not in text] == []


def test_without_any_telemetry_the_limit_is_unknown() -> None:
    bare = traced_run("one", procs=1, iteration_ms=10.0, running_ms=10.0)
    assert found(traced_run(iteration_ms=20.0, running_ms=20.0), bare)[0] is Cause.GPU


@pytest.mark.parametrize(
    ("clock_mhz", "capped", "trace", "limited"),
    [
        (1752, 1.0, {}, True),  # of the 2 ms a clock lower by 1.13 explains 1.3 ms
        (1784, 1.0, {}, False),  # one lower by 1.11 only 1.1 ms
        (1650, 0.5, {}, True),
        (1650, 0.4, {}, False),  # it fell for another reason
        (1650, 1.0, {"running_ms": 10.0, "behind_ms": 2.0}, False),  # operations did not take longer
        (1942, 1.0, {"iteration_ms": 10.2, "running_ms": 10.2}, False),  # within 3 %: it did not fall
    ],
)
def test_the_power_limit_counts_if_the_clock_explains_most_of_the_growth(
    clock_mhz: int, capped: float, trace: dict[str, Any], limited: bool
) -> None:
    run = traced_run(**({"iteration_ms": 12.0, "running_ms": 12.0} | trace))
    many = with_telemetry(run, sm_clock_mhz=clock_mhz, capped=capped)
    assert is_power_limited(Growth.between(many, one(sm_clock_mhz=1980))) is limited


@pytest.mark.parametrize(
    ("clock_mhz", "capped", "said"),
    [(1923, 0.2, ()), (1900, 0.2, ("1.04 times", "20 % of the readings")), (1900, 0.0, ("1.04 times",))],
)
def test_a_lower_clock_is_told_beside_another_limit(
    clock_mhz: int, capped: float, said: tuple[str, ...]
) -> None:
    many = two(memory_utilization=0.9, sm_clock_mhz=clock_mhz, capped=capped)
    cause, text = found(many, one(sm_clock_mhz=1980))
    assert cause is Cause.MEMORY
    assert all(words in text for words in said)
    assert ("SM clock" in text, "readings" in text) == (bool(said), len(said) == 2)
