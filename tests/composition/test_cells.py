"""From the command line to cells: what is asked for, in Hydra's own order."""

from pathlib import Path

import pytest

from mps_experiments.composition import parse
from mps_experiments.errors import ConfigError

MINE = """\
# @package _global_
# Mine.
defaults:
  - override /workload: resnet50
hydra:
  mode: MULTIRUN
  sweeper:
    params:
      procs: 3,5
times: 9
"""


@pytest.fixture
def config_dir(tmp_path: Path) -> Path:
    """A user's own folder with experiment=mine."""
    folder = tmp_path / "my conf"
    (folder / "experiment").mkdir(parents=True)
    (folder / "experiment" / "mine.yaml").write_text(MINE)
    return folder


def procs(*arguments: str) -> list[int]:
    return [cell.procs for cell in parse(list(arguments)).cells]


def test_without_m_there_is_one_cell() -> None:
    request = parse(["procs=2", "times=3"])
    assert not request.multirun
    assert [(cell.procs, cell.times) for cell in request.cells] == [(2, 3)]


def test_with_m_the_last_option_varies_fastest() -> None:
    request = parse(["-m", "procs=1,2", "mps=on,off"])
    assert request.multirun
    assert [(cell.procs, cell.mps.enabled) for cell in request.cells] == [
        (1, True),
        (1, False),
        (2, True),
        (2, False),
    ]


@pytest.mark.parametrize(
    ("argument", "expected"),
    [("procs=range(1,4)", [1, 2, 3]), ("procs=choice(4,2)", [4, 2]), ("procs=7", [7])],
)
def test_a_sweep_takes_every_form_of_hydra(argument: str, expected: list[int]) -> None:
    assert procs("-m", argument) == expected


def test_a_glob_sweeps_the_options_of_a_group() -> None:
    assert [cell.mps.enabled for cell in parse(["-m", "mps=glob(*)"]).cells] == [False, True]


def test_the_later_of_two_values_counts() -> None:
    assert procs("procs=1", "procs=2") == [2]


def test_a_users_own_experiment_is_found_through_config_dir(config_dir: Path) -> None:
    request = parse(["--config-dir", str(config_dir), "experiment=mine"])
    assert request.multirun
    assert [(cell.procs, cell.times, cell.workload.model) for cell in request.cells] == [
        (3, 9, "resnet50"),
        (5, 9, "resnet50"),
    ]
    assert procs("--config-dir", str(config_dir), "experiment=mine", "procs=1") == [1]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("times: 9", "repeat: many", "experiment=mine: it sets repeat: must be a whole number"),
        ("times: 9", "tims: 9", "experiment=mine: it sets tims: no such option; did you mean times?"),
        (
            "resnet50",
            "nope",
            "experiment=mine: it asks for workload=nope, which is not an option; choose one of",
        ),
        ("times: 9", "times: [9", "experiment=mine: it cannot be read: while parsing a flow sequence"),
        ("procs: 3,5", "procs: 3,x", "procs=x: must be a whole number"),
        ("procs: 3,5", "procs: '3,'", "procs=3,: must be a whole number"),
        ("procs: 3,5", "procs: 3,3", "procs=3,3: the same value twice"),
    ],
)
def test_a_mistake_in_a_users_file_is_one_line_too(
    config_dir: Path, before: str, after: str, expected: str
) -> None:
    (config_dir / "experiment" / "mine.yaml").write_text(MINE.replace(before, after))
    with pytest.raises(ConfigError) as caught:
        parse(["--config-dir", str(config_dir), "experiment=mine"])
    assert str(caught.value).startswith(expected)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--cfg", "job"], ["--info"], ["--hydra-help"], ["--shell-completion", "install=bash"]],
)
def test_a_command_that_only_shows_runs_nothing(arguments: list[str]) -> None:
    assert not parse(arguments).runs


def test_the_options_of_a_custom_workload_are_the_users_own() -> None:
    (cell,) = parse(["workload.options.size=3", "workload.options.deep={a: [1, x]}"]).cells
    assert cell.workload.options == {"size": 3, "deep": {"a": [1, "x"]}}


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("workload.input=/a b/c.jpg", "/a b/c.jpg"),
        ("workload.input='/a,b=c.jpg'", "/a,b=c.jpg"),
        ('workload.input="/ü(1).jpg"', "/ü(1).jpg"),
        ("workload.input=[/a.jpg,'/b,c.jpg']", ["/a.jpg", "/b,c.jpg"]),
    ],
)
def test_a_path_with_special_characters_is_taken_where_it_is_quoted(argument: str, expected: object) -> None:
    (cell,) = parse([argument]).cells
    assert cell.workload.input == expected


def test_iterations_may_be_auto_in_one_cell_and_a_number_in_another() -> None:
    assert [cell.times for cell in parse(["-m", "times=auto,50"]).cells] == ["auto", 50]


ASKING = ("hydra.sweeper._target_=my.AskingSweeper", "allow_code=true")
ELSEWHERE = ("hydra.launcher._target_=my.ClusterLauncher", "allow_code=true")


@pytest.mark.parametrize(("plugin", "cells"), [(ASKING, 0), (ELSEWHERE, 1)])
@pytest.mark.parametrize("value", ["0.05", "0.05,0.1"])
def test_blocks_are_added_only_where_cells_and_their_order_are_known(
    plugin: tuple[str, ...], cells: int, value: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(["-m", *plugin, f"precision={value}"])
    line = f"precision={value}: adds blocks only with Hydra's basic sweeper and launcher; leave it away"
    assert str(caught.value) == line
    assert len(parse(["-m", *plugin]).cells) == cells


def test_what_differs_between_the_cells_is_told() -> None:
    assert parse(["-m", "procs=1,2", "times=5", "workload.seed=1,2"]).varied == {"procs", "workload.seed"}
    assert parse(["experiment=quickstart"]).varied == {"mps", "procs"}
    assert parse(["procs=2"]).varied == frozenset()
