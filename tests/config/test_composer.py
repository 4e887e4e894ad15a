"""Each cell is composed once, and keeps all that Hydra composed."""

from pathlib import Path
from typing import Any

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl

from mps_experiments.config.cells import parse
from mps_experiments.config.composer import recorded
from mps_experiments.errors import ConfigError


@pytest.mark.parametrize(
    "name", ["a\\b", "b\\\\c", "end\\", "tab\there", "it's", "\\'", "a b,c=d", "line\nend"]
)
def test_a_folder_of_any_name_is_found_through_config_dir(tmp_path: Path, name: str) -> None:
    file = tmp_path / name / "experiment" / "mine.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("# @package _global_\nprocs: 3\n")
    (config,) = parse(["--config-dir", str(tmp_path / name), "experiment=mine"]).cells
    assert config.procs == 3


def test_every_cell_is_composed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    composed: list[list[str]] = []
    load = ConfigLoaderImpl.load_configuration

    def counting(self: Any, name: Any, overrides: list[str], *more: Any, **others: Any) -> Any:
        composed.append(overrides)
        return load(self, name, overrides, *more, **others)

    parse([])  # what Hydra ships is read once a process
    monkeypatch.setattr(ConfigLoaderImpl, "load_configuration", counting)
    parse(["-m", "procs=1,2", "times=3"])
    assert composed == [["times=3"], ["procs=1", "times=3"], ["procs=2", "times=3"]]
    composed.clear()
    parse(["procs=2"])
    assert composed == [["procs=2"]]


def test_a_folder_of_configurations_is_a_flag_and_no_override(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text("# @package _global_\nprocs: 3\n")
    grid = parse(["--config-dir", str(tmp_path), "experiment=mine"]).grid
    assert grid is not None
    assert grid.cells[0].composed().hydra.overrides.hydra == []
    with pytest.raises(ConfigError) as caught:
        parse(["--config-dir", str(tmp_path), f"hydra.searchpath=[{tmp_path.parent}]"])
    assert str(caught.value) == "hydra.searchpath: stands alone or as --config-dir; give one of them"


def test_a_caller_may_change_what_a_cell_gives_back() -> None:
    grid = parse(["procs=2"]).grid
    assert grid is not None
    composed = grid.cells[0].composed()
    composed.procs = 9
    assert grid.cells[0].composed().procs == grid.cells[0].config.procs == 2


def test_a_record_has_the_options_without_hydras_own_and_an_absolute_folder() -> None:
    grid = parse(["procs=2", "output_dir=mine", "workload.options.size=3"]).grid
    assert grid is not None
    options = recorded(grid.cells[0].composed())
    assert options["output_dir"] == str(Path("mine").absolute())
    assert (options["procs"], options["workload"]["options"]) == (2, {"size": 3})
    assert options["workload"]["kind"] == "torchvision"
    assert "hydra" not in options
