"""The text of an experiment, as a person reads it."""

import pytest

from mps_experiments.config import Config
from mps_experiments.errors import ConfigError
from mps_experiments.export.grid import Grid
from mps_experiments.export.sheet import default_name, make_sheet
from mps_experiments.export.values import plain

DEFAULTS = plain(Config())


def grid(axes: dict[str, tuple[object, ...]] | None = None, **common: object) -> Grid:
    values = DEFAULTS | {name.replace("__", "."): value for name, value in common.items()}
    return Grid(
        common={name: value for name, value in values.items() if name not in (axes or {})}, axes=axes or {}
    )


def test_a_cell_is_its_groups_and_what_is_no_default() -> None:
    sheet = make_sheet("mine", grid(procs=3, workload__model="resnet50", mps__enabled=False), ["From a run."])
    assert sheet.text.splitlines() == [
        "# @package _global_",
        "# python -m mps_experiments experiment=mine",
        "# From a run.",
        "defaults:",
        "- override /mps: 'off'",
        "- override /workload: resnet50",
        "- override /fault: none",
        "procs: 3",
    ]


def test_a_sweep_has_its_axes_as_hydra_takes_them() -> None:
    axes: dict[str, tuple[object, ...]] = {
        "fault.kind": ("none", "kill"),
        "mps.enabled": (False, True),
        "workload.model": ("resnet50", "it's"),
    }
    lines = make_sheet("mine", grid(axes), []).text.splitlines()
    assert lines[2:] == [
        "defaults:",
        "- override /workload: auto",
        "hydra:",
        "  mode: MULTIRUN",
        "  sweeper:",
        "    params:",
        "      fault: none,kill",
        "      mps: off,on",
        "      workload.model: resnet50,'it\\'s'",
    ]


def test_the_command_of_a_custom_workload_names_its_factory() -> None:
    sheet = make_sheet("mine", grid(workload__kind="custom", workload__factory="a:b"), [])
    assert sheet.arguments == ["experiment=mine", "workload.factory=a:b"]
    assert sheet.text.splitlines()[1] == "# python -m mps_experiments experiment=mine workload.factory=a:b"


@pytest.mark.parametrize("end", ["\n", "\r", "\x85", "\u2028"])
def test_a_comment_stays_one_line_whatever_it_quotes(end: str) -> None:
    text = make_sheet("mine", grid(), [f"a{end}hydra: {{run: {{dir: /}}}}"]).text
    assert text.splitlines()[2].startswith("# a\\")
    assert "\nhydra" not in text


@pytest.mark.parametrize("value", ["http://me:secret@host/x", "s3://bucket/a?token=secret"])
def test_a_password_is_not_written(value: str) -> None:
    with pytest.raises(ConfigError, match=r"workload\.options: it has an address with a password") as caught:
        make_sheet("mine", grid(workload__options={"url": value}), [])
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("cells", "name"),
    [
        (grid(procs=2), "auto-on-procs2-times50"),
        (
            grid({"procs": (1, 2, 8), "mps.enabled": (False, True)}),
            "auto-off-on-procs1-8-times50",
        ),
        (grid(fault__kind="oom"), "auto-on-procs1-times50-oom"),
        (grid(workload__kind="custom", workload__factory="a.b:c"), "a-b-c-on-procs1-times50"),
        (grid(workload__model="../../x y"), "x-y-on-procs1-times50"),
    ],
)
def test_the_name_says_what_is_in_it_and_is_a_plain_one(cells: Grid, name: str) -> None:
    assert default_name(cells) == name
