"""What there is to say about a machine: a stand-in for each finding."""

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
from mps_experiments.machine.facts import collect_facts
from mps_experiments.machine.gpu_lock import GpuLocks
from mps_experiments.machine.gpus import FixedProbe, open_probe
from mps_experiments.record.machine import Gpu, GpuProcess
from mps_experiments.record.workload import WorkloadSpec
from mps_experiments.run.plan import RunPlan
from mps_experiments.sweep.doctor import findings
from mps_experiments.sweep.doctor.findings import Finding, Level
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

GIB = 2**30
ON_GPU = Device(gpu=FAKE_GPU)
SMALL = WorkloadSpec(kind="torchvision", model="mobilenet_v3_small")


def named(*found: Finding) -> dict[str, tuple[Level, str]]:
    assert all(finding.todo for finding in found if finding.level is not Level.OK)
    return {finding.name: (finding.level, finding.found) for finding in found}


def test_the_driver_and_the_gpu_that_is_meant_are_named() -> None:
    probe = DriverProbe()
    assert named(*findings.driver_findings(probe), *findings.gpu_findings(ON_GPU, probe)) == {
        "driver": (Level.OK, "580.159.04, CUDA up to 13.0"),
        "GPU": (Level.OK, "Stand-in, 64 GiB, compute mode Default"),
        "GPU memory": (Level.OK, "63.1 of 64.0 GiB are free"),
        "GPU processes": (Level.OK, "none of others"),
    }


def test_a_driver_whose_library_does_not_answer_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(findings, "_KERNEL_DRIVER", tmp_path / "version")
    assert list(findings.driver_findings(FixedProbe())) == []
    (tmp_path / "version").touch()
    assert named(*findings.driver_findings(FixedProbe()))["driver"][0] is Level.FAIL


def test_who_else_is_on_the_gpu_is_a_warning() -> None:
    processes = (GpuProcess(pid=os.getpid(), memory_bytes=None), GpuProcess(pid=2**30, memory_bytes=None))
    probe = DriverProbe(processes=processes, used_bytes=FAKE_GPU.memory_total_bytes - GIB)
    found = named(*findings.gpu_findings(ON_GPU, probe))
    assert found["GPU memory"] == (Level.WARN, "1.0 of 64.0 GiB are free")
    level, text = found["GPU processes"]
    assert level is Level.WARN
    assert text.startswith(f"2 of others: pid {os.getpid()} (")
    assert text.endswith(f"pid {2**30} (not to be seen from here)")


@pytest.mark.parametrize(
    ("device", "gpus", "expected"),
    [
        (Device(gpu=None, chosen=False), (), "no NVIDIA GPU: what is measured says nothing about MPS"),
        (Device(gpu=None, chosen=False), (FAKE_GPU,), "CUDA_VISIBLE_DEVICES hides all GPUs: what is"),
        (Device(gpu=None), (), None),
        (ON_GPU, (FAKE_GPU, SECOND_GPU), f"compute mode Default; others: {SECOND_GPU.uuid} Stand-in"),
    ],
)
def test_which_gpu_is_used_and_why_none(device: Device, gpus: tuple[Gpu, ...], expected: str | None) -> None:
    texts = [each.found for each in findings.gpu_findings(device, FixedProbe(gpus)) if each.name == "GPU"]
    assert len(texts) == (expected is not None)
    assert all(str(expected) in text for text in texts)


def test_another_sweep_on_the_gpu_is_named_and_nothing_is_created(tmp_path: Path) -> None:
    (free,) = findings.sweep_findings(ON_GPU, tmp_path)
    assert (free.level, list(tmp_path.iterdir())) == (Level.OK, [])
    with GpuLocks("python first.py", pytest.fail, tmp_path) as locks:
        locks.acquire(FAKE_GPU.uuid, 0.0)
        (taken,) = findings.sweep_findings(ON_GPU, tmp_path)
    assert taken.level is Level.WARN
    assert f"pid {os.getpid()} (python first.py)" in taken.found


@pytest.mark.parametrize(
    ("finding", "level", "found"),
    [
        (
            findings.cores_finding(16, None),
            Level.OK,
            "16 can be used: enough for up to 15 processes and this program",
        ),
        (
            findings.cores_finding(16, 16.0),
            Level.OK,
            "16 can be used: enough for up to 15 processes and this program",
        ),
        (
            findings.cores_finding(16, 2.5),
            Level.WARN,
            "16 can be used, but a CPU limit allows the time of 2.5 cores",
        ),
        (findings.cores_finding(2, None), Level.WARN, "2 can be used"),
        (findings.memory_finding(8 * GIB, None), Level.OK, "8.0 GiB available"),
        (findings.memory_finding(3 * GIB, 8 * GIB), Level.WARN, "3.0 GiB available"),
        (findings.memory_finding(8 * GIB, 3 * GIB), Level.WARN, "3.0 GiB allowed by a memory limit"),
    ],
)
def test_cores_and_memory_are_judged_by_what_a_container_allows(
    finding: Finding, level: Level, found: str
) -> None:
    assert named(finding)[finding.name][0] is level
    assert finding.found.startswith(found)


def test_a_variable_that_slows_workers_is_a_warning() -> None:
    facts = collect_facts(FixedProbe(), None)
    slow, quick = (
        replace(facts, environment={"CUDA_LAUNCH_BLOCKING": value}, not_passed_on={}) for value in "10"
    )
    assert findings.environment_finding(slow).found == "CUDA_LAUNCH_BLOCKING=1"
    assert findings.environment_finding(quick).level is Level.OK
    capped = replace(quick, not_passed_on={"CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": "50"})
    assert "not passed on" in findings.environment_finding(capped).found


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
    found = list(findings.mps_findings(plans))
    assert tuple(finding.level for finding in found) == levels
    assert all(todo in finding.todo for finding in found if finding.level is not Level.OK)


def test_a_gpu_without_the_control_program_fails(
    pair: list[RunPlan], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    off, on = findings.mps_findings(pair)
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
        (found,) = [each for each in findings.foreign_findings(there) if str(folder) in each.found]
        assert str(folder) not in str(list(findings.foreign_findings(pair[1])))
        assert psutil.pid_exists(pid)
    assert (found.level, found.found) == (Level.WARN, f"pid {pid} at {folder}, 0 clients")
    assert f"echo quit | CUDA_MPS_PIPE_DIRECTORY={folder} nvidia-cuda-mps-control; " in found.todo


def test_mps_that_works_is_tried_and_nothing_is_left(
    pair: list[RunPlan], monkeypatch: pytest.MonkeyPatch
) -> None:
    use_fakes(monkeypatch)
    assert [each.level for each in findings.trial_findings(pair[1], DriverProbe())] == [Level.OK]
    use_fakes(monkeypatch, "exit=1")
    with pytest.raises(ConfigError, match="MPS does not work here: the MPS daemon ended at once with code 1"):
        list(findings.trial_findings(pair[1], DriverProbe()))
    assert own_mps_processes() == []


@pytest.mark.gpu
def test_mps_works_on_a_real_gpu() -> None:
    with open_probe() as probe:
        plans = plan_cells([Config(procs=2)], probe)
        assert [each.level for each in findings.trial_findings(plans[0], probe)] == [Level.OK]


@pytest.mark.parametrize("gpu", [None, replace(FAKE_GPU, torch_device="cuda:0")], ids=["cpu", "no such GPU"])
def test_torch_is_asked_in_a_child_whether_it_finds_the_gpu(tmp_path: Path, gpu: Gpu | None) -> None:
    plan = run_plan(tmp_path, SMALL, gpu=gpu)
    if gpu is None:
        (found,) = findings.torch_findings([plan])
        assert found.level is Level.OK
    else:
        with pytest.raises(ConfigError, match=r"device=cuda: .*; device=cpu works"):
            list(findings.torch_findings([plan]))


def test_the_folder_and_the_store_that_will_be_made_are_not_made(tmp_path: Path) -> None:
    config = Config(output_dir=str(tmp_path / "outputs"))
    (output,), (store,) = findings.output_findings(config), findings.store_findings(config)
    assert output.found.startswith(f"{tmp_path / 'outputs'}, which will be made; ")
    assert (store.level, store.found) == (Level.OK, str(tmp_path / "outputs/mlflow.db"))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_and_a_store_that_a_sweep_would_refuse_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    with pytest.raises(ConfigError, match="cannot be written"):
        list(findings.output_findings(Config(output_dir=str(tmp_path / "file" / "outputs"))))
    with closing(sqlite3.connect(tmp_path / "other.db")) as other:
        other.execute("CREATE TABLE accounts (id INTEGER)")
    for uri, why in (
        (f"sqlite:///{tmp_path / 'file'}", "is not an SQLite database"),
        (f"sqlite:///{tmp_path / 'other.db'}", "of another program"),
        ("http://127.0.0.1:9", "no MLflow store answers there"),
    ):
        with pytest.raises(ConfigError, match=why):
            list(findings.store_findings(Config(tracking=TrackingConfig(uri=uri))))
