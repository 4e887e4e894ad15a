"""The schema: every option described and bounded, and checked when a configuration is made."""

import dataclasses
import math

import pytest

from mps_experiments.config.cells import parse
from mps_experiments.config.schema import NO_LONGER, Config, Thresholds, TraceConfig, options
from mps_experiments.errors import ConfigError

BOUNDS = {  # whose limits are their own; the others follow a rule
    "procs": "a whole number from 1 to 1024",
    "times": "auto or a whole number from 1 to 10000000",
    "window_s": "a number of seconds from 0.01 to 86400",
    "repeat": "a whole number from 0 to 10000000",
    "order_seed": "a whole number from 0 to 4294967295",
    "precision": "a number from 0 to 1",
    "budget_min": "a number of minutes from 0.001 to 100000",
    "cost.gpu_hour": "a number from 0 to 1000000",
    "gpu_wait_s": "a number of seconds from 0 to 1000000",
    "min_free_disk_mb": "a whole number from 0 to 1099511627776",
    "workload.batch": "a whole number from 1 to 65536",
    "workload.seed": "a whole number from 0 to 9223372036854775807",
    "workers.rotate_s": "a number of seconds from 0.001 to 60",
    "workers.warmup": "auto or a whole number from 0 to 10000000",
    "trace.iterations": "a whole number from 0 to 1000",
    "trace.min_s": "a number of seconds from 0 to 10",
    "telemetry.interval_s": "0 (off) or a number of seconds from 0.005 to 60",
    "validity.common_window_warn": "a number from 0 to 1",
    "fault.worker": "a whole number from 0 to 1023",
    "fault.at": "a number from 0 to 0.999",
    "fault.trials": "a whole number from 1 to 1000",
    "fault.newcomer_after_s": "a number of seconds from 0 to 1000000",
}


def test_every_number_has_its_bounds() -> None:
    found = {option.name: option.wanted for option in options() if option.kind in (int, float)}
    deadlines = {name: found.pop(name) for name in list(found) if name.endswith("timeout_s")}
    assert set(deadlines.values()) == {"a number of seconds from 0.001 to 1000000"}
    limits = [name for name in found if name.startswith("validity.") and name not in BOUNDS]
    assert {found.pop(name) for name in limits} == {"a number of at least 0"}
    assert found == BOUNDS


def test_a_configuration_is_checked_when_it_is_made_and_frozen_from_then_on() -> None:
    text = r"trace\.iterations=.*: must be a whole number from 0 to 1000"
    with pytest.raises(ConfigError, match=text):
        Config(trace=TraceConfig(iterations=1001))
    with pytest.raises(ConfigError, match=text):
        dataclasses.replace(Config(), trace=TraceConfig(iterations=-1))
    with pytest.raises(ConfigError, match=r"validity\.drift_warn=nan: must be a number of at least 0"):
        Config(validity=Thresholds(drift_warn=math.nan))
    (cell,) = parse(["procs=2"]).cells
    for frozen in (cell, cell.mps, cell.validity):
        with pytest.raises(dataclasses.FrozenInstanceError):
            frozen.enabled = 3  # type: ignore[union-attr, misc]


def test_every_option_is_described_in_sentences_and_a_duration_has_its_unit_in_its_name() -> None:
    assert [each.name for each in options() if not each.description.endswith(".")] == []
    seconds = [each for each in options() if "Seconds" in each.description]
    assert [each.name for each in seconds if not each.name.endswith("_s") or each.kind is not float] == []


def test_a_limit_of_validity_says_what_crossing_it_does() -> None:
    """By its name it warns or makes a run INVALID, and the text says the same."""
    starts = {"warn": "Warn", "invalid": "INVALID"}
    others = []
    for option in options():
        kind = option.name.rpartition("_")[2]
        if option.name.startswith("validity.") and kind in starts:
            assert option.description.startswith(starts[kind]), option.name
        elif option.name.startswith("validity."):
            others.append(option.name.partition(".")[2])
    assert others == ["output_rtol", "output_atol", "nonfinite_outputs"]


def test_what_went_is_no_option() -> None:
    assert [option.name for option in options() if option.name in NO_LONGER] == []
