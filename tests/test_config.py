"""The schema: every field described, and the folder of the Hydra tree found."""

from dataclasses import fields, is_dataclass

import pytest

from mps_experiments.config import Config, Option, conf_dir, options


def leaves(schema: type, prefix: str = "") -> list[str]:
    names: list[str] = []
    for field in fields(schema):
        value = getattr(schema(), field.name)
        if is_dataclass(value):
            names += leaves(type(value), f"{prefix}{field.name}.")
        else:
            names.append(f"{prefix}{field.name}")
    return names


def test_every_field_of_the_schema_is_listed_once() -> None:
    assert sorted(option.name for option in options()) == sorted(leaves(Config))


@pytest.mark.parametrize("option", list(options()), ids=lambda option: option.name)
def test_every_field_has_a_description_that_is_a_sentence(option: Option) -> None:
    assert option.description.endswith(".")
    assert "\n" not in option.description


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("workers.verbose", "false"),
        ("workload.factory", "null"),
        ("workload.model", "auto"),
        ("mps.compute_mode", "keep"),
        ("procs", "1"),
        ("times", "50"),
        ("workers.warmup", "auto"),
        ("order", "blocks"),
        ("trace.iterations", "3"),
        ("telemetry.interval_s", "0.1"),
        ("validity.foreign_daemon_invalid", "true"),
        ("validity.output_rtol", "0.001"),
    ],
)
def test_a_default_is_shown_as_it_would_be_typed(name: str, shown: str) -> None:
    assert {option.name: option.default_text for option in options()}[name] == shown


@pytest.mark.parametrize("option", list(options()), ids=lambda option: option.name)
def test_a_duration_has_its_unit_in_its_name(option: Option) -> None:
    if "Seconds" in option.description:
        assert option.name.endswith("_s")
        assert option.type_name == "float"


def test_a_checkout_has_the_tree_at_its_top() -> None:
    assert (conf_dir() / "config.yaml").is_file()


@pytest.mark.parametrize("option", [each for each in options() if each.name.startswith("validity.")])
def test_a_limit_of_validity_says_what_crossing_it_does(option: Option) -> None:
    """By its name it warns or makes a run INVALID, and the text says the same."""
    kinds = {"warn": "Warn", "invalid": "INVALID"}
    kind = option.name.rpartition("_")[2]
    if kind in kinds:
        assert option.description.startswith(kinds[kind])
    else:
        assert option.name in ("validity.output_rtol", "validity.output_atol", "validity.nonfinite_outputs")
