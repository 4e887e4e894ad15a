"""Options read from a schema's fields, and what their bounds hold."""

import math
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import pytest

from mps_experiments.config.option import number, options_of


class Colour(Enum):
    red = "red"
    blue = "blue"


@dataclass(frozen=True, kw_only=True)
class Group:
    share: float = number(0.5, low=0, high=0.999)
    """A share,
    over two lines."""
    colour: Colour = Colour.blue
    """A colour."""
    names: dict[str, Any] = field(default_factory=dict)
    """Names."""


@dataclass(frozen=True, kw_only=True)
class Schema:
    group: Group = field(default_factory=Group)
    count: int = number(3, low=0, high=8)
    """A count."""
    times: Any = number("auto", low=1, high=9, word="auto")
    """How often."""
    wait_s: float = number(2.0, low=0.001, high=1_000_000)
    """Seconds."""
    every_s: float = number(0.1, low=0.005, high=60, zero_is_off=True)
    """Seconds."""
    limit: float = number(1.5, low=0)
    """A limit."""
    path: str | None = None
    """A path."""
    given: Any = "sample"
    """Anything."""
    loud: bool = False
    """Noise."""


OPTIONS = {option.name: option for option in options_of(Schema)}


def test_options_are_the_fields_with_groups_in_place() -> None:
    assert list(OPTIONS) == [
        *("group.share", "group.colour", "group.names"),
        *("count", "times", "wait_s", "every_s", "limit", "path", "given", "loud"),
    ]
    assert OPTIONS["group.share"].description == "A share, over two lines."


@pytest.mark.parametrize(
    ("name", "default", "wanted"),
    [
        ("group.share", "0.5", "a number from 0 to 0.999"),
        ("group.colour", "blue", "one of red, blue"),
        ("group.names", "{}", "a mapping"),
        ("count", "3", "a whole number from 0 to 8"),
        ("times", "auto", "auto or a whole number from 1 to 9"),
        ("wait_s", "2.0", "a number of seconds from 0.001 to 1000000"),
        ("every_s", "0.1", "0 (off) or a number of seconds from 0.005 to 60"),
        ("limit", "1.5", "a number of at least 0"),
        ("path", "null", "a text"),
        ("given", "sample", "a text or a list"),
        ("loud", "false", "true or false"),
    ],
)
def test_an_option_says_its_default_as_it_is_typed_and_what_it_takes(
    name: str, default: str, wanted: str
) -> None:
    assert (OPTIONS[name].default_text, OPTIONS[name].wanted) == (default, wanted)


NEVER = [math.nan, -math.inf]


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("group.share", [0.0, 0.999], [-0.001, 1.0, math.inf]),
        ("count", [0, 8], [-1, 9, 10**30, True]),
        ("times", ["auto", 1, 9], [0, 10, 2.5, 1e3, "often", "", "AUTO", True, [1, 2], {}, None]),
        ("wait_s", [0.001, 1e6], [0.0, -1.0, 1.1e6, math.inf]),
        ("every_s", [0.0, 0.005, 60.0], [-0.001, 1e-9, 60.001, math.inf]),
        ("limit", [0.0, 3.0, math.inf], [-0.001]),
    ],
)
def test_bounds_hold_what_is_within_and_nothing_else(
    name: str, right: list[object], wrong: list[object]
) -> None:
    option = OPTIONS[name]
    assert [value for value in [*right, *wrong, *NEVER] if option.allows(value)] == right
