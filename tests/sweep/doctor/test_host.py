"""What there is to say about a machine: a stand-in for each finding."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from mps_experiments.machine.device import Device
from mps_experiments.machine.facts import collect_facts
from mps_experiments.machine.gpu_lock import GpuLocks
from mps_experiments.machine.gpus import FixedProbe
from mps_experiments.record.machine import Gpu, GpuProcess
from mps_experiments.sweep.doctor import host
from mps_experiments.sweep.doctor.finding import Finding, Level
from tests.fakes.plans import FAKE_GPU, SECOND_GPU
from tests.sweep.doctor.conftest import DriverProbe

GB = 10**9
ON_GPU = Device(gpu=FAKE_GPU)


def named(*findings: Finding) -> dict[str, tuple[Level, str]]:
    assert all(finding.todo for finding in findings if finding.level is not Level.OK)
    return {finding.name: (finding.level, finding.found) for finding in findings}


def test_the_driver_and_the_gpu_that_is_meant_are_named() -> None:
    probe = DriverProbe()
    assert named(*host.driver_findings(probe), *host.gpu_findings(ON_GPU, probe)) == {
        "driver": (Level.OK, "580.159.04, CUDA up to 13.0"),
        "GPU": (Level.OK, "Stand-in, 69 GB, compute mode Default"),
        "GPU memory": (Level.OK, "67.7 of 68.7 GB are free"),
        "GPU processes": (Level.OK, "none of others"),
    }


def test_a_driver_whose_library_does_not_answer_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "_KERNEL_DRIVER", tmp_path / "version")
    assert list(host.driver_findings(FixedProbe())) == []
    (tmp_path / "version").touch()
    assert named(*host.driver_findings(FixedProbe()))["driver"][0] is Level.FAIL


def test_who_else_is_on_the_gpu_is_a_warning() -> None:
    processes = (GpuProcess(pid=os.getpid(), memory_bytes=None), GpuProcess(pid=2**30, memory_bytes=None))
    probe = DriverProbe(processes=processes, used_bytes=FAKE_GPU.memory_total_bytes - GB)
    found = named(*host.gpu_findings(ON_GPU, probe))
    assert found["GPU memory"] == (Level.WARN, "1.0 of 68.7 GB are free")
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
    texts = [each.found for each in host.gpu_findings(device, FixedProbe(gpus)) if each.name == "GPU"]
    assert len(texts) == (expected is not None)
    assert all(str(expected) in text for text in texts)


def test_another_sweep_on_the_gpu_is_named_and_nothing_is_created(tmp_path: Path) -> None:
    (free,) = host.sweep_findings(ON_GPU, tmp_path)
    assert (free.level, list(tmp_path.iterdir())) == (Level.OK, [])
    with GpuLocks("python first.py", pytest.fail, tmp_path) as locks:
        locks.acquire(FAKE_GPU.uuid, 0.0)
        (taken,) = host.sweep_findings(ON_GPU, tmp_path)
    assert (taken.level, taken.found) == (
        Level.WARN,
        f"the GPU is in use by another sweep, pid {os.getpid()} (python first.py)",
    )
    assert [each.level for each in host.sweep_findings(ON_GPU, tmp_path)] == [Level.OK]


@pytest.mark.parametrize(
    ("finding", "level", "found"),
    [
        (host.cores_finding(16, None), Level.OK, "16 can be used: one each for up to 15 workers"),
        (host.cores_finding(16, 16.0), Level.OK, "16 can be used: one each for up to 15 workers"),
        (host.cores_finding(16, 2.5), Level.WARN, "16 can be used, but a CPU limit allows the time of 2.5"),
        (host.cores_finding(2, None), Level.WARN, "2 can be used"),
        (host.memory_finding(8 * GB, None), Level.OK, "8.0 GB available"),
        (host.memory_finding(3 * GB, 8 * GB), Level.WARN, "3.0 GB available"),
        (host.memory_finding(8 * GB, 3 * GB), Level.WARN, "3.0 GB allowed by a memory limit"),
    ],
)
def test_cores_and_memory_are_judged_by_what_a_container_allows(
    finding: Finding, level: Level, found: str
) -> None:
    assert named(finding) == {finding.name: (level, found)}


def test_a_variable_that_slows_workers_is_a_warning() -> None:
    facts = collect_facts(FixedProbe(), None)
    slow, quick = (
        replace(facts, environment={"CUDA_LAUNCH_BLOCKING": value}, not_passed_on={}) for value in "10"
    )
    assert host.environment_finding(slow).found == "CUDA_LAUNCH_BLOCKING=1"
    assert host.environment_finding(quick).level is Level.OK
    capped = replace(quick, not_passed_on={"CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": "50"})
    assert "not passed on" in host.environment_finding(capped).found


def test_the_packages_are_named() -> None:
    findings = list(host.machine_findings(FixedProbe()))
    assert [each.name for each in findings] == ["Python", "cores", "memory", "environment"]
    assert " torch 2." in findings[0].found
