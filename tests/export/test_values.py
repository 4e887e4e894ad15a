"""Stored configurations of this version and of others, and values as they are typed."""

import pytest

from mps_experiments.composition import parse
from mps_experiments.config import Config
from mps_experiments.errors import ConfigError
from mps_experiments.export.values import plain, stored_values, typed
from tests.records import make_measurement


def test_an_empty_configuration_is_all_defaults_and_each_is_named() -> None:
    stored = stored_values({})
    assert stored.values == plain(Config())
    assert "workers.warmup=auto" in stored.missing
    assert "workload.model=auto" in stored.missing
    assert len(stored.missing) == len(stored.values)


def test_what_is_of_the_place_and_not_of_the_run_is_left_out() -> None:
    config = {"output_dir": "/x", "resume": True, "allow_code": True, "tracking": {"uri": "a", "new": 1}}
    stored = stored_values(config)
    assert stored.unknown == ()
    assert not {"output_dir", "resume", "allow_code", "tracking.uri"} & set(stored.values)


def test_every_key_that_does_not_fit_is_named() -> None:
    stored = stored_values({"mps": {"gone": 1, "enabled": False}, "older": {"a": 1}, "trace": 5})
    assert stored.values["mps.enabled"] is False
    assert stored.unknown == ("mps.gone", "older", "trace")
    with pytest.raises(
        ConfigError, match=r"it has mps.gone, older, trace, unknown here, and lacks .*procs=1"
    ):
        stored.refuse_unknown()


@pytest.mark.parametrize(
    "value",
    [
        *("plain", "a/b.jpg", "two words", "it's", "back\\", "back\\'", "\\\\", "", "true", "null", "inf"),
        *("1", "1e3", "a,b", "[a]", "{a:b}", "x=y", "é", "-", 'dou"ble', "#", "$x", "on", "a:b", "c:/d"),
        *(["a", "b c", "it's"], ["sample"]),
    ],
)
def test_what_is_typed_is_read_as_the_same_value(value: object) -> None:
    (cell,) = parse([f"workload.input={typed(value)}"]).cells
    assert plain(cell)["workload.input"] == value


@pytest.mark.parametrize("value", [1, -2.5, 1e-7, True, False, None, {"a": [1, "x y"], "b": {"c": None}}])
def test_a_number_and_a_mapping_are_typed_so_that_they_are_read_as_the_same(value: object) -> None:
    (cell,) = parse(["workload=custom", f"+workload.options.x={typed(value)}"]).cells
    assert plain(cell)["workload.options"] == {"x": value}


def test_where_the_configuration_is_silent_the_cell_tells() -> None:
    cell = make_measurement(mps="on", procs=4, times=7, repeat=2, weights="default").cell
    stored = stored_values({"times": 8}, cell)
    assert stored.values["times"] == 8  # what was asked for comes first
    told = ("mps.enabled", "procs", "repeat", "workload.model", "workload.weights")
    assert [stored.values[name] for name in told] == [True, 4, 2, "maskrcnn_resnet50_fpn", "default"]
    assert not {text.partition("=")[0] for text in stored.missing} & set(told)
    assert any(text.startswith("trace.iterations=") for text in stored.missing)


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
    cell = make_measurement(model=model, weights=weights).cell
    assert stored_values({}, cell).values["workload.norm_layer"] == norm_layer
    assert stored_values({"workload": {"norm_layer": "auto"}}, cell).values["workload.norm_layer"] == "auto"


@pytest.mark.parametrize(
    "workload", [{"model": "auto"}, {"model": "maskrcnn_resnet50_fpn", "cpu_model": "resnet18"}]
)
def test_the_model_is_the_one_that_ran(workload: dict[str, str]) -> None:
    """In earlier records workload.cpu_model may have replaced the one that was asked for."""
    cell = make_measurement(model="resnet18").cell
    stored = stored_values({"workload": workload}, cell)
    assert stored.values["workload.model"] == "resnet18"
    assert stored.unknown == ()
