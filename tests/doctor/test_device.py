"""Which GPU is meant, in which mode it is, and who else uses it."""

import os
from dataclasses import replace

import pytest

from mps_experiments.doctor.device import choose, mode_findings, usage_findings
from mps_experiments.doctor.finding import Finding, Level
from mps_experiments.doctor.gpu import Sight
from mps_experiments.machine.gpus import Gpu, GpuProcess
from tests.doctor.conftest import DRIVER, H100, by_name

SECOND = replace(H100, index=1, uuid="GPU-second", name="Stand-in A100")
TWO = Sight(gpus=(H100, SECOND), driver_version=DRIVER)
NOTHING_ABOUT_MPS = "runs on the CPU, nothing measured says anything about MPS"


@pytest.fixture(autouse=True)
def all_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def chosen(device: str, sight: Sight, level: Level) -> tuple[Gpu | None, Finding]:
    gpu, finding = choose(device, sight)
    assert (finding.name, finding.level) == ("GPU", level), finding
    return gpu, finding


def test_one_gpu_is_named_with_memory_and_capability() -> None:
    gpu, finding = chosen("auto", Sight(gpus=(H100,), driver_version=DRIVER), Level.OK)
    assert gpu == H100
    assert finding.found == "Stand-in H100, 69 GB, compute capability 9.0"


def test_of_several_gpus_the_one_in_use_and_the_others_are_named() -> None:
    gpu, finding = chosen("auto", TWO, Level.OK)
    assert gpu == H100
    assert finding.found.endswith("; one of 2 (others: cuda:1 Stand-in A100)")
    assert chosen("cuda:1", TWO, Level.OK)[0] == SECOND
    assert chosen("GPU-second", TWO, Level.OK)[0] == SECOND


@pytest.mark.parametrize(
    ("device", "text"),
    [
        ("cuda:2", "this machine has 2 visible NVIDIA GPUs"),
        ("GPU-none", "no such GPU"),
        ("tpu", "not a device"),
    ],
)
def test_a_device_that_is_not_there_fails_with_the_reason(device: str, text: str) -> None:
    gpu, finding = chosen(device, TWO, Level.FAIL)
    assert gpu is None
    assert f"device={device}: " in finding.found
    assert text in finding.found


def test_without_a_driver_the_cpu_is_used_and_nothing_is_said_about_mps() -> None:
    gpu, finding = chosen("auto", Sight(), Level.WARN)
    assert gpu is None
    assert finding.found == f"no NVIDIA driver: {NOTHING_ABOUT_MPS}"


def test_a_driver_without_a_gpu_is_another_matter() -> None:
    _, finding = chosen("auto", Sight(driver_version=DRIVER), Level.WARN)
    assert finding.found == f"no NVIDIA GPU: {NOTHING_ABOUT_MPS}"


def test_a_gpu_that_was_asked_for_and_is_not_there_fails() -> None:
    _, finding = chosen("cuda", Sight(), Level.FAIL)
    assert "no visible NVIDIA GPU" in finding.found


def test_the_cpu_that_was_asked_for_is_ok() -> None:
    gpu, finding = chosen("cpu", TWO, Level.OK)
    assert gpu is None
    assert NOTHING_ABOUT_MPS in finding.found


def test_gpus_that_cuda_visible_devices_hides_warn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    _, finding = chosen("auto", TWO, Level.WARN)
    assert finding.found.startswith("CUDA_VISIBLE_DEVICES hides all")


def test_an_ordinary_gpu_has_no_mig_and_the_default_mode() -> None:
    found = by_name(mode_findings(H100))
    assert {name: each.level for name, each in found.items()} == {"MIG": Level.OK, "compute mode": Level.OK}


def test_mig_fails_with_the_command_that_turns_it_off() -> None:
    finding = by_name(mode_findings(replace(H100, mig_enabled=True)))["MIG"]
    assert finding.level is Level.FAIL
    assert f"nvidia-smi -i {H100.uuid} -mig 0" in finding.todo


@pytest.mark.parametrize(
    ("mode", "level"),
    [("Prohibited", Level.FAIL), ("Exclusive_Process", Level.WARN), ("Exclusive_Thread", Level.WARN)],
)
def test_another_compute_mode_comes_with_the_command_that_sets_the_default(mode: str, level: Level) -> None:
    finding = by_name(mode_findings(replace(H100, compute_mode=mode)))["compute mode"]
    assert finding.level is level
    assert mode in finding.found
    assert f"nvidia-smi -i {H100.uuid} -c DEFAULT" in finding.todo


def test_nobody_on_the_gpu_is_ok() -> None:
    found = by_name(usage_findings(H100, replace(TWO, memory_used_bytes={H100.uuid: 10**9})))
    assert {name: each.level for name, each in found.items()} == {
        "GPU memory": Level.OK,
        "GPU processes": Level.OK,
    }


def test_processes_of_others_are_named_as_far_as_they_can_be_seen() -> None:
    users = (
        GpuProcess(pid=os.getpid(), memory_bytes=5 * 10**8),
        GpuProcess(pid=2**22 + 1, memory_bytes=None),
    )
    finding = by_name(usage_findings(H100, replace(TWO, processes={H100.uuid: users})))["GPU processes"]
    assert finding.level is Level.WARN
    assert f"pid {os.getpid()} (" in finding.found
    assert ", 500 MB)" in finding.found
    assert f"pid {2**22 + 1} (not to be seen from here)" in finding.found


def test_little_free_memory_warns_and_unknown_memory_has_no_line() -> None:
    used = H100.memory_total_bytes - 10**9
    finding = by_name(usage_findings(H100, replace(TWO, memory_used_bytes={H100.uuid: used})))["GPU memory"]
    assert finding.level is Level.WARN
    assert finding.found == "1.0 of 68.7 GB are free"
    assert "GPU memory" not in by_name(usage_findings(H100, TWO))
