"""What is refused before anything is started, and what a refusal leaves behind."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torchvision import models

from mps_experiments.config.schema import Config, CpuAffinity, StartMethod, WorkloadKind
from mps_experiments.errors import ConfigError
from mps_experiments.machine.core_locks import CoreLocks
from mps_experiments.machine.gpus import FixedProbe
from mps_experiments.record.machine import Gpu
from mps_experiments.run.plan import RunPlan
from mps_experiments.sweep.preflight import (
    check_output_dir,
    check_run_folder,
    names_to_preload,
    plan_cells,
    prepare,
    take_cores,
)
from mps_experiments.tracking.tracker import Tracker
from tests.fakes.plans import FAKE_GPU, SECOND_GPU, attaching, run_plan
from tests.planned import ON_CPU, config_with, planned


def test_the_output_folder_is_created_and_left_empty(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    assert check_output_dir(Config(output_dir=str(folder))) == folder
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("name", ["file", "file/below", "~nobody-has-this-name/out"])
def test_an_output_folder_that_cannot_be_written_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=f"output_dir={name}: cannot be written .*; name a folder of yours"):
        check_output_dir(Config(output_dir=name))


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_a_folder_of_runs_behind_a_file_is_refused_and_nothing_is_made(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        ConfigError, match=rf"hydra\.run\.dir=.*{name}: cannot be written \(.*/file is a file\)"
    ):
        check_run_folder("hydra.run.dir", tmp_path / name)
    check_run_folder("hydra.run.dir", tmp_path / "new" / "folder")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_sweeper_that_decides_as_it_goes_has_the_users_folder_and_store(tmp_path: Path) -> None:
    config = config_with(output_dir=str(tmp_path / "mine"), tracking__enabled=False)
    prepared = prepare(config, ())
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    assert type(prepared.tracker) is Tracker


def test_too_little_space_is_refused_with_both_numbers(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"has \d+ MB of free space, less than min_free_disk_mb=1000000000"):
        check_output_dir(Config(output_dir=str(tmp_path), min_free_disk_mb=10**9))


def test_the_fork_server_of_a_sweep_imports_what_any_of_its_cells_asks_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, package in (("first", "yaml"), ("second", "numpy")):
        (tmp_path / f"{name}.py").write_text(f"import {package}\ndef build(device, options): ...\n")
    own: dict[str, Any] = {"workload__kind": WorkloadKind.custom}
    plans = [
        planned(**own, workload__factory="first:build"),
        planned(**own, workload__factory="second:build"),
        planned(**own, workload__factory="first:build", workers__preload=["yaml", "rich.console"]),
        planned(),
    ]
    assert names_to_preload(plans) == ("yaml", "numpy", "rich.console")
    assert names_to_preload([planned(**own, workload__factory="first:build", workers__preload=[])]) == ()
    spawned = planned(**own, workload__factory="first:build", workers__start_method=StartMethod.spawn)
    assert names_to_preload([spawned]) == ()


NEAR_LOW = replace(FAKE_GPU, local_cores=(0, 1, 2, 3))
NEAR_HIGH = replace(SECOND_GPU, local_cores=(4, 5, 6, 7))


def cores_of(
    folder: Path, patch: pytest.MonkeyPatch, plans: Sequence[RunPlan]
) -> tuple[tuple[int, ...], bool]:
    """The cores of a sweep on a machine with eight and two GPUs, and whether it took any."""
    patch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    patch.setattr(os, "sched_setaffinity", lambda *_: None)
    patch.setattr("mps_experiments.workers.placement.physical_cores", lambda cores: {c: c for c in cores})
    with CoreLocks("a sweep", pytest.fail, folder) as locks:
        take_cores(locks, plans, FixedProbe((NEAR_LOW, NEAR_HIGH)))
        return locks.own, locks.are_taken


def pinned(folder: Path, gpu: Gpu | None, procs: int = 1) -> RunPlan:
    return run_plan(
        folder / "run", *[attaching()] * procs, gpu=gpu, workers={"cpu_affinity": CpuAffinity.auto}
    )


def test_a_sweep_takes_half_of_the_cores_for_one_of_two_gpus_near_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = [cores_of(tmp_path, monkeypatch, [pinned(tmp_path, gpu)])[0] for gpu in (NEAR_LOW, NEAR_HIGH)]
    assert own == [(0, 1, 2, 3), (4, 5, 6, 7)]


def test_the_largest_cell_and_the_parent_have_a_core_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = [pinned(tmp_path, NEAR_LOW, procs) for procs in (1, 5)]
    assert cores_of(tmp_path, monkeypatch, cells) == ((0, 1, 2, 3, 6, 7), True)


def test_cells_on_the_cpu_take_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cores_of(tmp_path, monkeypatch, [pinned(tmp_path, None)]) == ((), False)


def test_how_a_weights_file_is_read_is_told_once(tmp_path: Path) -> None:
    state = models.mobilenet_v3_small().half().state_dict()
    torch.save({"model": state}, tmp_path / "w.pth")
    values: dict[str, Any] = {
        "workload__model": "mobilenet_v3_small",
        "workload__weights": str(tmp_path / "w.pth"),
        "tracking__enabled": False,
        "output_dir": str(tmp_path / "out"),
    }
    cells = [config_with(times=times, **values) for times in (1, 2)]
    prepared = prepare(cells[0], plan_cells(cells, ON_CPU))
    read = "took the weights under model; holds float16, runs as float32"
    assert prepared.remarks == (f"workload.weights={tmp_path / 'w.pth'}: {read}",)
    digest = hashlib.sha256((tmp_path / "w.pth").read_bytes()).hexdigest()
    assert prepared.weights_sha256 == {str(tmp_path / "w.pth"): digest}
