"""The command line of a replay, and the experiment file behind it."""

from pathlib import Path

import pytest

from mps_experiments.composition import parse
from mps_experiments.errors import ConfigError
from mps_experiments.export.experiment import wanted_of
from mps_experiments.replay.order import order_of
from tests.export.test_experiment import FACTORY, plans, stored


def test_it_asks_for_the_stored_cells_each_as_often_as_wanted(tmp_path: Path) -> None:
    cells = parse(["-m", "procs=1,2", "repeat=5", "output_dir=/elsewhere", "tracking=none"]).cells
    wanted = wanted_of(stored(tmp_path, cells), drop_unknown=False, without=("repeat",))
    order = order_of(wanted, tmp_path / "it's out", 2, ["gpu_wait_s=7"])
    again = parse(order.arguments)
    assert [(cell.procs, cell.repeat) for cell in again.cells] == [(1, 0), (1, 1), (2, 0), (2, 1)]
    assert {(cell.output_dir, cell.gpu_wait_s) for cell in again.cells} == {(str(tmp_path / "it's out"), 7.0)}
    assert all(cell.tracking.enabled for cell in again.cells)
    assert order.sweep_dir.is_relative_to(tmp_path / "it's out")
    assert again.multirun


def test_the_plan_is_the_stored_one(tmp_path: Path) -> None:
    cells = parse(["workload=custom", FACTORY, "+workload.options.a='b c'", "mps=off", "procs=3"]).cells
    order = order_of(wanted_of(stored(tmp_path, cells), drop_unknown=False), tmp_path, 1, [])
    assert plans(parse(order.arguments).cells) == plans(cells)


def test_the_same_cells_have_one_file_and_others_another(tmp_path: Path) -> None:
    for number, warmup in enumerate((1, 1, 3)):
        cells = parse([f"workers.warmup={warmup}"]).cells
        wanted = wanted_of(stored(tmp_path / str(number), cells), drop_unknown=False)
        order_of(wanted, tmp_path, 1, [])
    assert len(list((tmp_path / "replayed" / "experiment").iterdir())) == 2


def test_a_folder_that_cannot_be_written_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "replayed").write_text("in the way")
    wanted = wanted_of(stored(tmp_path, parse([]).cells), drop_unknown=False)
    with pytest.raises(ConfigError, match=r"--output-dir=.*cannot be written"):
        order_of(wanted, tmp_path, 1, [])
