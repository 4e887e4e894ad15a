"""The table of axes: every option is an axis, a place or a condition; names are made of it."""

from mps_experiments.config.schema import Config, options
from mps_experiments.record.axes import (
    AXES,
    BY_OPTION,
    PLACES,
    chosen,
    factor_words,
    items_of,
    key_of,
    name_of,
    settings_beside,
    varied_factors,
    window_settings,
    without,
)

ORDINARY = {"fault": "none", "cpu_affinity": "none"}


def test_rows_name_options_that_exist_and_no_place() -> None:
    known = {option.name for option in options()}
    assert BY_OPTION.keys() <= known
    assert known >= PLACES
    assert not PLACES & BY_OPTION.keys()
    assert len({axis.name for axis in AXES}) == len(AXES)


def test_an_option_without_a_row_is_a_condition_unless_it_is_a_place() -> None:
    config = {"new": 1, "output_dir": "x", "procs": 2, "workload": {"synchronize": "device", "seed": 1}}
    assert settings_beside(config, ORDINARY) == {"new": 1, "workload.synchronize": "device"}


def test_what_is_done_after_the_window_is_no_condition_of_it() -> None:
    config = {"trace": {"iterations": 3}, "telemetry": {"interval_s": 0.1}, "validity": {"drift_warn": 0.1}}
    assert window_settings(config, ORDINARY) == {"telemetry.interval_s": 0.1}


def test_options_of_a_fault_and_of_rotation_count_only_where_there_is_one() -> None:
    config = {"fault": {"at": 0.5}, "workers": {"rotate_s": 0.05, "stall_timeout_s": 9.0}}
    assert settings_beside(config, ORDINARY) == {}
    assert settings_beside(config, {"fault": "kill", "cpu_affinity": "rotate"}) == {
        "fault.at": 0.5,
        "workers.rotate_s": 0.05,
        "workers.stall_timeout_s": 9.0,
    }


def test_each_axis_is_read_from_the_option_of_its_row() -> None:
    found = chosen(Config(procs=3, repeat=2))
    assert list(found) == [axis.name for axis in AXES]
    assert (found["procs"], found["repeat"], found["twin"]) == (3, 2, 0)
    assert (found["start_method"], found["fault"]) == ("forkserver", "none")


def test_a_name_is_the_coordinates_and_what_the_sweep_varied() -> None:
    axes = {"mps": "on", "procs": 2, "times": "auto", "fault": "none"}
    assert name_of(axes, ("seed=1",)) == "mps=on procs=2 times=auto seed=1"
    assert name_of(axes | {"fault": "kill"}, ()) == "mps=on procs=2 times=auto fault=kill"


def test_overrides_are_left_out_by_option_or_by_group() -> None:
    assert key_of("++repeat=1") == "repeat"
    assert without(("+fault.at=0.2", "fault=kill", "faulty=1", "a.fault=1"), "fault") == (
        "faulty=1",
        "a.fault=1",
    )


def test_a_batch_is_a_factor_that_counts_items() -> None:
    usual = {axis.name: axis.usual for axis in AXES}
    assert (items_of(usual), factor_words(usual)) == (1, ())
    batched = usual | {"batch": 8}
    assert (items_of(batched), factor_words(batched)) == (8, ("workload.batch=8",))
    assert [axis.name for axis in varied_factors([usual, batched])] == ["batch"]
    assert varied_factors([batched, batched]) == ()
