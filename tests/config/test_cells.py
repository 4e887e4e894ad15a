"""From the command line to cells: what is asked for, in Hydra's own order."""

from pathlib import Path

import pytest

from mps_experiments.config.cells import parse
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


def refused(*arguments: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(list(arguments))
    return str(caught.value)


def procs(*arguments: str) -> list[int]:
    return [cell.procs for cell in parse(list(arguments)).cells]


def test_with_m_the_last_option_varies_fastest() -> None:
    request = parse(["-m", "procs=1,2", "mps=on,off"])
    assert request.multirun
    cells = [(cell.procs, cell.mps.enabled) for cell in request.cells]
    assert cells == [(1, True), (1, False), (2, True), (2, False)]
    assert not parse(["procs=2"]).multirun


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-m", "procs=range(1,4)"], [1, 2, 3]),
        (["-m", "procs=choice(4,2)"], [4, 2]),
        (["-m", "procs=7"], [7]),
        (["-m", "mps=glob(*)"], [1, 1]),
        (["procs=1", "procs=2"], [2]),  # the later counts
    ],
)
def test_a_command_line_takes_every_form_of_hydra(arguments: list[str], expected: list[int]) -> None:
    assert procs(*arguments) == expected


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
            "experiment=mine: it asks for workload=nope: no such value; choose one of",
        ),
        ("times: 9", "times: [9", "experiment=mine: {file} line 11: did not find expected ',' or ']'"),
        ("procs: 3,5", "procs: 3,x", "procs=x: must be a whole number"),
        ("procs: 3,5", "procs: '3,'", "procs=3,: must be a whole number"),
        ("procs: 3,5", "procs: 3,3", "procs=3,3: the same value twice"),
    ],
)
def test_a_mistake_in_a_users_file_is_one_line_too(
    config_dir: Path, before: str, after: str, expected: str
) -> None:
    file = config_dir / "experiment" / "mine.yaml"
    file.write_text(MINE.replace(before, after))
    line = refused("--config-dir", str(config_dir), "experiment=mine")
    assert line.startswith(expected.format(file=file))
    assert "\n" not in line


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--cfg", "job"], ["--info"], ["--hydra-help"], ["--shell-completion", "install=bash"]],
)
def test_a_command_that_only_shows_runs_nothing(arguments: list[str]) -> None:
    assert parse(arguments).grid is None


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


ASKING = ("hydra.sweeper._target_=my.AskingSweeper", "allow_code=true")


@pytest.mark.parametrize("value", ["0.05", "0.05,0.1"])
def test_blocks_are_added_only_where_the_cells_are_known(value: str) -> None:
    line = f"precision={value}: adds blocks only with Hydra's basic sweeper; leave it out"
    assert refused("-m", *ASKING, f"precision={value}") == line


def test_a_sweeper_that_decides_has_no_cells_and_the_users_options() -> None:
    request = parse(["-m", *ASKING, "procs=1,2", "output_dir=mine", "tracking=none"])
    assert request.grid is not None
    shared = request.grid.composer.config
    assert request.cells == ()
    assert (shared.output_dir, shared.tracking.enabled) == ("mine", False)
    assert request.grid.folder.is_relative_to(Path("mine").absolute())


@pytest.mark.parametrize("trust", ["allow_code=true", "allow_code=false"])
def test_another_launcher_is_refused_whoever_is_trusted(trust: str) -> None:
    line = refused("-m", "hydra.launcher._target_=hydra_plugins.joblib.Launcher", trust)
    assert "hydra/launcher=hydra_plugins.joblib.Launcher cannot be used: runs come one after another" in line
    assert "allow_code" not in line


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            "experiment=quickstart,packing",
            "experiment=quickstart: has a grid of its own, which a sweep over experiments leaves out; "
            "run one at a time",
        ),
        (
            "repeat=0,00",
            "command line: repeat=00 is the same cell as repeat=0; give one of them",
        ),
        (
            "output_dir=a,b hydra.sweep.dir=${output_dir}",
            "hydra.sweep.dir=a: is one for all cells of a sweep; give one output_dir, "
            "and vary hydra.sweep.subdir",
        ),
    ],
)
def test_what_would_count_as_repeats_or_scatter_a_sweep_is_refused(arguments: str, line: str) -> None:
    assert refused("-m", *arguments.split()) == line


@pytest.mark.parametrize("arguments", [["-m", "procs=1,2"], ["procs=1"]])
def test_two_sweeps_begun_in_the_same_second_have_a_folder_each(arguments: list[str]) -> None:
    grids = [request.grid for request in (parse(arguments), parse(arguments))]
    folders = [cell.folder for grid in grids if grid is not None for cell in grid.cells]
    assert len(set(folders)) == len(folders) == 2 * len(grids[0].cells if grids[0] else ())


def test_a_cell_that_is_added_is_the_cell_once_more_with_another_repeat() -> None:
    request = parse(["-m", "procs=1,2", "precision=0.1"])
    assert request.grid is not None
    assert [cell.overrides[-1] for cell in request.grid.cells] == ["repeat=0"] * 2
    added = request.grid.again(7, of=1, repeat=3)
    assert (added.number, added.overrides) == (7, ("procs=2", "precision=0.1", "repeat=3"))
    assert (added.config.procs, added.config.repeat, added.folder.name) == (2, 3, "procs=2,repeat=3")
    assert added.folder.parent == request.grid.folder
    assert added.composed().hydra.job.num == 7


def test_what_differs_between_the_cells_is_told() -> None:
    assert parse(["-m", "procs=1,2", "times=5", "workload.seed=1,2"]).varied == {"procs", "workload.seed"}
    assert parse(["experiment=quickstart"]).varied == {"mps", "procs"}
    assert parse(["procs=2"]).varied == frozenset()
