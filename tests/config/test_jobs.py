"""Cells run as Hydra's jobs: with the files that its users expect, and one after the other."""

import json
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf

from mps_experiments.config.cells import Grid, parse
from mps_experiments.config.jobs import hydra_jobs
from mps_experiments.errors import ConfigError
from tests.sweep.test_sweep import MOODY, sweep


def grid_of(*arguments: str) -> Grid:
    grid = parse(list(arguments)).grid
    assert grid is not None
    return grid


def test_each_job_has_hydras_files_and_a_sweep_its_own(tmp_path: Path) -> None:
    grid = grid_of("-m", "times=2,3", f"hydra.sweep.dir={tmp_path}", "hydra.sweep.subdir=${hydra:job.num}")
    seen: list[DictConfig] = []
    with hydra_jobs(grid, multirun=True) as run:
        for cell in reversed(grid.cells):
            run(cell, seen.append)
    assert [config.times for config in seen] == [3, 2]
    assert "hydra" not in seen[0]
    for number, times in enumerate((2, 3)):
        folder = tmp_path / str(number)
        assert grid.cells[number].folder == folder
        hydra = OmegaConf.load(folder / ".hydra" / "hydra.yaml").hydra
        assert (hydra.job.num, hydra.job.id, hydra.mode) == (number, str(number), "MULTIRUN")
        assert hydra.runtime.output_dir == str(folder)
        assert OmegaConf.load(folder / ".hydra" / "overrides.yaml") == [f"times={times}"]
        assert OmegaConf.load(folder / ".hydra" / "config.yaml").times == times
    multirun = OmegaConf.load(tmp_path / "multirun.yaml")
    assert multirun.hydra.overrides.task == ["times=2,3"]


def test_one_run_alone_has_no_file_of_a_sweep(tmp_path: Path) -> None:
    grid = grid_of("times=2", f"hydra.run.dir={tmp_path / 'run'}")
    with hydra_jobs(grid, multirun=False) as run:
        run(grid.cells[0], lambda _: None)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()].count("multirun.yaml") == 0
    assert OmegaConf.load(tmp_path / "run" / ".hydra" / "hydra.yaml").hydra.mode == "RUN"


def test_all_cells_and_files_of_a_sweep_are_of_one_moment() -> None:
    grid = grid_of("-m", "times=2,3", "hydra.sweep.dir=${now:%f}")
    assert len({cell.folder.parent for cell in grid.cells} | {grid.folder}) == 1
    assert grid.again(2, of=0, repeat=1).folder.parent == grid.folder


def test_an_error_of_a_task_is_raised_when_the_others_have_run(tmp_path: Path) -> None:
    grid = grid_of("-m", "times=2,3", f"hydra.sweep.dir={tmp_path}")
    ran: list[int] = []

    def task(config: DictConfig) -> None:
        ran.append(config.times)
        if config.times == 2:
            raise ZeroDivisionError

    def run_all() -> None:
        with hydra_jobs(grid, multirun=True) as run:
            for cell in grid.cells:
                run(cell, task)

    with pytest.raises(ZeroDivisionError):
        run_all()
    assert ran == [2, 3]


def test_a_sweep_whose_folder_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    grid = grid_of("-m", "times=2,3", f"hydra.sweep.dir={tmp_path / 'file'}")
    why = r"hydra\.sweep\.dir=.*/file: cannot be written \(File exists\)"
    with pytest.raises(ConfigError, match=why), hydra_jobs(grid, multirun=True):
        pass


def test_a_cell_whose_folder_cannot_be_is_named_and_the_others_run(tmp_path: Path) -> None:
    """Something else has the name of the second cell's folder."""
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "3").touch()
    done = sweep(
        tmp_path, "-m", *MOODY, "times=2,3,4", "tracking=none", f"hydra.sweep.dir={folder}",
        "hydra.sweep.subdir=${times}", "workload.options.sleep_s=0.02",
    )  # fmt: skip
    assert (done.result.returncode, done.result.stderr) == (1, "")
    refused = "mps=off procs=1 times=3: REFUSED: its folder cannot be written (File exists)"
    assert refused in done.result.stdout.splitlines()
    assert sorted(done.measurements) == ["mps=off procs=1 times=2", "mps=off procs=1 times=4"]
    summary = json.loads((folder / "sweep.json").read_text())
    assert summary["status"] == "FAILED"
    assert [cell["verdict"] for cell in summary["cells"]].count("REFUSED") == 1
