"""Stored configurations of this version and of others, and values as they are typed."""

from dataclasses import replace
from typing import Any

import pytest

from mps_experiments.config.cells import parse
from mps_experiments.config.schema import NO_LONGER, Config
from mps_experiments.errors import ConfigError
from mps_experiments.record.summaries import FoundRun
from mps_experiments.sweep.export.values import StoredRun, asked_for, plain, stored_run, typed
from tests.records import make_measurement

TYPED = [
    *("plain", "a/b.jpg", "two words", "it's", "back\\", "back\\'", "\\\\", "", "true", "null", "inf"),
    *("1", "1e3", "a,b", "[a]", "{a:b}", "x=y", "é", "-", 'dou"ble', "#", "$x", "on", "a:b", "c:/d"),
    *(["a", "b c", "it's"], ["sample"]),
]


def stored(config: dict[str, Any], **cell: Any) -> StoredRun:
    return stored_run(replace(make_measurement(**cell), config=config))


def found(record_id: str, *, overrides: tuple[str, ...] = (), **cell: Any) -> FoundRun:
    made = replace(make_measurement(record_id, **cell), config={}, overrides=overrides)
    return FoundRun(measurement=made, folder=None)


def test_what_a_record_does_not_say_is_a_default_and_named() -> None:
    run = stored({}, model="resnet18")
    assert run.values == plain(Config()) | {"workload.model": "resnet18", "window": "fixed"}
    assert "workers.warmup=auto" in run.missing
    assert len(run.missing) == len(run.values) - 2


def test_keys_that_this_version_does_not_have_are_named_and_those_of_the_place_left_out() -> None:
    run = stored(
        {
            "output_dir": "/x",
            "tracking": {"uri": "a", "new": 1},
            "mps": {"gone": 1, "enabled": False, "quit_timeout_s": 5.0},
            "older": {"a": 1},
            "trace": 5,
            "validity": {name.partition(".")[2]: 0.5 for name in NO_LONGER if name.startswith("validity.")},
        }
    )
    assert run.values["mps.enabled"] is False
    assert run.unknown == ("mps.gone", "older.a", "trace")
    assert not {"output_dir", "tracking.uri"} & set(run.values)


def test_texts_are_typed_so_that_they_are_read_as_the_same() -> None:
    (cell,) = parse([f"workload.input={typed(TYPED)}"]).cells
    assert plain(cell)["workload.input"] == TYPED


@pytest.mark.parametrize(
    ("model", "weights", "norm_layer"),
    [
        ("maskrcnn_resnet50_fpn", "random", "batch"),
        ("retinanet_resnet50_fpn", "/w.pth", "batch"),
        ("maskrcnn_resnet50_fpn", "default", "auto"),
        ("resnet50", "random", "auto"),
    ],
)
def test_a_detector_of_earlier_versions_had_batch_norm(model: str, weights: str, norm_layer: str) -> None:
    assert stored({}, model=model, weights=weights).values["workload.norm_layer"] == norm_layer
    asked = stored({"workload": {"norm_layer": "auto"}}, model=model, weights=weights)
    assert asked.values["workload.norm_layer"] == "auto"


def test_the_model_is_the_one_that_ran() -> None:
    """In earlier records workload.cpu_model may have replaced the one that was asked for."""
    run = stored({"workload": {"model": "auto", "cpu_model": "resnet18"}}, model="resnet18")
    assert (run.values["workload.model"], run.unknown) == ("resnet18", ())


def test_runs_that_the_program_adds_by_itself_were_not_asked_for() -> None:
    runs = [
        found("one", overrides=("fault=none",)),
        found("reference", overrides=("procs=1",)),
        found("two", procs=2, fault="kill", overrides=("fault=kill",)),
        found("twin", twin=1, overrides=("fault=none",)),
        found("elsewhere", sweep_id="without faults"),
    ]
    assert [run.measurement.record_id for run in asked_for(runs)] == ["one", "two", "elsewhere"]
    assert [run.measurement.record_id for run in asked_for(runs[3:4])] == ["twin"]


def test_no_run_and_unknown_keys_are_mistakes() -> None:
    with pytest.raises(ConfigError, match="no record of it can be read"):
        asked_for([])
    run = FoundRun(measurement=replace(make_measurement(), config={"gone": 1, "odd": 2}), folder=None)
    with pytest.raises(ConfigError, match="it has gone, odd, unknown here; --drop-unknown"):
        asked_for([run])
    assert asked_for([run], drop_unknown=True)[0].unknown == ("gone", "odd")
