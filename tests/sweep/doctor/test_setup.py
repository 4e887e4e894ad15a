"""What a sweep needs and does not have: the finding says what the sweep would say."""

import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from mps_experiments.config.schema import Config, TrackingConfig
from mps_experiments.errors import ConfigError
from mps_experiments.machine.device import Device
from mps_experiments.machine.gpus import open_probe
from mps_experiments.record.machine import Gpu
from mps_experiments.record.workload import WorkloadSpec
from mps_experiments.run.plan import RunPlan
from mps_experiments.sweep.doctor import setup
from mps_experiments.sweep.doctor.finding import Level
from mps_experiments.sweep.preflight import plan_cells
from tests.fakes.plans import (
    FAKE_GPU,
    SECOND_GPU,
    attaching,
    daemon_of_somebody_else,
    own_mps_processes,
    run_plan,
    short_folder,
    use_fakes,
)
from tests.sweep.doctor.conftest import DriverProbe

SMALL = WorkloadSpec(kind="torchvision", model="mobilenet_v3_small")


@pytest.fixture
def pair(tmp_path: Path) -> list[RunPlan]:
    """Two workers without MPS and with it."""
    return [run_plan(tmp_path, attaching(), attaching(), mps={"enabled": mps}) for mps in (False, True)]


@pytest.mark.parametrize(
    ("changes", "levels", "todo"),
    [
        ({}, (Level.OK, Level.OK), ""),
        ({"mig_enabled": True}, (Level.OK, Level.FAIL), f"nvidia-smi -i {FAKE_GPU.uuid} -mig 0"),
        ({"compute_mode": "Exclusive_Process"}, (Level.WARN, Level.OK), "-c DEFAULT"),
        ({"compute_mode": "Prohibited"}, (Level.WARN, Level.FAIL), "-c DEFAULT"),
        (None, (Level.OK, Level.WARN), "on a machine with an NVIDIA GPU"),
    ],
)
def test_what_would_be_skipped_says_how_to_mend_it(
    pair: list[RunPlan],
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, object] | None,
    levels: tuple[Level, Level],
    todo: str,
) -> None:
    use_fakes(monkeypatch)
    gpu = None if changes is None else replace(FAKE_GPU, **changes)  # type: ignore[arg-type]
    plans = [replace(plan, device=Device(gpu=gpu)) for plan in pair]
    found = list(setup.mps_findings(plans))
    assert tuple(finding.level for finding in found) == levels
    assert all(todo in finding.todo for finding in found if finding.level is not Level.OK)


def test_a_gpu_without_the_control_program_fails(
    pair: list[RunPlan], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    off, on = setup.mps_findings(pair)
    assert (off.level, on.level) == (Level.OK, Level.FAIL)
    assert "nvidia-compute-utils" in on.todo


def test_a_daemon_of_others_is_named_and_left_alone_and_passed_over_on_another_gpu(
    pair: list[RunPlan], monkeypatch: pytest.MonkeyPatch
) -> None:
    use_fakes(monkeypatch)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", SECOND_GPU.uuid)
    there = replace(pair[1], device=Device(gpu=SECOND_GPU))
    with short_folder() as folder, daemon_of_somebody_else(folder):
        pid = int((folder / "nvidia-cuda-mps-control.pid").read_text())
        (found,) = [each for each in setup.foreign_findings(there) if str(folder) in each.found]
        assert str(folder) not in str(list(setup.foreign_findings(pair[1])))
        assert psutil.pid_exists(pid)
    assert (found.level, found.found) == (Level.WARN, f"pid {pid} at {folder}, 0 clients")
    assert f"echo quit | CUDA_MPS_PIPE_DIRECTORY={folder} nvidia-cuda-mps-control; " in found.todo


def test_mps_that_works_is_tried_and_nothing_is_left(
    pair: list[RunPlan], monkeypatch: pytest.MonkeyPatch
) -> None:
    use_fakes(monkeypatch)
    assert [each.level for each in setup.trial_findings(pair[1], DriverProbe())] == [Level.OK]
    use_fakes(monkeypatch, "exit=1")
    with pytest.raises(ConfigError, match="MPS does not work here: the MPS daemon ended at once with code 1"):
        list(setup.trial_findings(pair[1], DriverProbe()))
    assert own_mps_processes() == []


@pytest.mark.gpu
def test_mps_works_on_a_real_gpu() -> None:
    with open_probe() as probe:
        plans = plan_cells([Config(procs=2)], probe)
        assert [each.level for each in setup.trial_findings(plans[0], probe)] == [Level.OK]


@pytest.mark.parametrize("gpu", [None, replace(FAKE_GPU, torch_device="cuda:0")], ids=["cpu", "no such GPU"])
def test_torch_is_asked_in_a_child_whether_it_finds_the_gpu(tmp_path: Path, gpu: Gpu | None) -> None:
    plan = run_plan(tmp_path, SMALL, gpu=gpu)
    if gpu is None:
        (found,) = setup.torch_findings([plan])
        assert found.level is Level.OK
    else:
        with pytest.raises(ConfigError, match=r"device=cuda: .*; device=cpu works"):
            list(setup.torch_findings([plan]))


def test_the_folder_and_the_store_that_will_be_made_are_not_made(tmp_path: Path) -> None:
    config = Config(output_dir=str(tmp_path / "outputs"))
    (output,), (store,) = setup.output_findings(config), setup.store_findings(config)
    assert output.found.startswith(f"{tmp_path / 'outputs'}, which will be made; ")
    assert (store.level, store.found) == (Level.OK, str(tmp_path / "outputs/mlflow.db"))
    (none,) = setup.store_findings(Config(tracking=TrackingConfig(enabled=False)))
    assert none.found == "none: records on disk only"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_and_a_store_that_a_sweep_would_refuse_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    with pytest.raises(ConfigError, match="cannot be written"):
        list(setup.output_findings(Config(output_dir=str(tmp_path / "file" / "outputs"))))
    with pytest.raises(ConfigError, match="is not an SQLite database"):
        list(setup.store_findings(Config(tracking=TrackingConfig(uri=f"sqlite:///{tmp_path / 'file'}"))))
    with closing(sqlite3.connect(tmp_path / "other.db")) as other:
        other.execute("CREATE TABLE accounts (id INTEGER)")
    with pytest.raises(ConfigError, match="of another program"):
        list(setup.store_findings(Config(tracking=TrackingConfig(uri=f"sqlite:///{tmp_path / 'other.db'}"))))
    with pytest.raises(ConfigError, match="no MLflow store answers there"):
        list(setup.store_findings(Config(tracking=TrackingConfig(uri="http://127.0.0.1:9"))))
