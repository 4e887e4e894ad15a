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
        ("workload.cpu_model", "null"),
        ("mps.compute_mode", "keep"),
        ("procs", "1"),
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
