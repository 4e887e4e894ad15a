"""Names of run folders, and the table of --help."""

import hashlib

import pytest

from mps_experiments.config.resolvers import folder_name, option_table
from mps_experiments.config.schema import options

LONG = ",".join(f"workload.options.key{number}=value" for number in range(40))


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        *((same, same) for same in ("mps=on,procs=2", "a=[1]", "workload.options.ä=ü")),
        ("", "defaults"),
        (LONG, f"{LONG[:191]}-{hashlib.sha256(LONG.encode()).hexdigest()[:8]}"),
    ],
    ids=["plain", "list", "letters", "none", "long"],
)
def test_a_list_of_overrides_is_its_own_folder_name_or_ends_with_its_digest(
    overrides: str, name: str
) -> None:
    assert folder_name(overrides) == name


@pytest.mark.parametrize(
    "overrides",
    [
        "workload.input=/a/b.jpg",
        "workload.input=../../x",
        "..",
        ".",
        "/",
        "a=b c",
        "a=$HOME",
        "a=\0",
        "ü" * 300,
        LONG,
    ],
)
def test_a_name_is_one_visible_component_of_at_most_200_bytes(overrides: str) -> None:
    name = folder_name(overrides)
    assert name
    assert not name.startswith(".")
    assert not set(name) & set("/\0 $")
    assert len(name.encode()) <= 200


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (LONG + ",procs=1", LONG + ",procs=2"),
        ("workload.input=/a/b.jpg", "workload.input=/a_b.jpg"),
        ("ü" * 300, "ü" * 301),
        ("", "."),
        ("a= ", "a=_"),
    ],
)
def test_two_lists_of_overrides_never_share_a_folder(one: str, other: str) -> None:
    assert folder_name(one) != folder_name(other)


def test_the_table_of_help_has_every_option_with_its_default_and_description() -> None:
    table = option_table()
    for option in options():
        assert f"{option.name}={option.default_text}  (" in table
        assert option.description in table.replace("$$", "$")
