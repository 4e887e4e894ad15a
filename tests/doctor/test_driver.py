"""A driver that is there, half there, or only wanted."""

import os

import pytest

from mps_experiments.doctor.driver import driver_findings, permission_findings
from mps_experiments.doctor.finding import Level
from mps_experiments.doctor.gpu import Sight
from mps_experiments.doctor.roots import Roots
from tests.doctor.conftest import CUDA, DRIVER, H100, the_only, write

RUNNING = Sight(gpus=(H100,), driver_version=DRIVER, cuda_version=CUDA)
OPEN_MODULE = (
    f"NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  {DRIVER}  Release Build\nGCC version: 12.2\n"
)
OLD_MODULE = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024\n"


def test_a_driver_that_runs_is_named_with_its_cuda(roots: Roots) -> None:
    write(roots.proc / "driver/nvidia/version", OPEN_MODULE)
    assert the_only(driver_findings(RUNNING, roots), Level.OK).found == f"{DRIVER}, CUDA up to {CUDA}"


def test_a_container_may_not_show_the_kernels_part(roots: Roots) -> None:
    the_only(driver_findings(RUNNING, roots), Level.OK)


def test_a_library_of_another_version_than_the_kernels_part_fails(roots: Roots) -> None:
    write(roots.proc / "driver/nvidia/version", OLD_MODULE)
    finding = the_only(driver_findings(RUNNING, roots), Level.FAIL)
    assert finding.found == f"library {DRIVER}, kernel 550.54.15"


def test_a_loaded_module_without_a_library_that_answers_fails(roots: Roots) -> None:
    write(roots.proc / "driver/nvidia/version", OLD_MODULE)
    finding = the_only(driver_findings(Sight(), roots), Level.FAIL)
    assert "the kernel has driver 550.54.15" in finding.found
    assert "--gpus all" in finding.todo


def test_an_nvml_that_broke_fails_with_its_reason(roots: Roots) -> None:
    finding = the_only(driver_findings(Sight(problem="NVMLError_GpuIsLost: GPU is lost"), roots), Level.FAIL)
    assert "GPU is lost" in finding.found


def test_a_gpu_on_the_bus_without_a_driver_warns(roots: Roots) -> None:
    devices = roots.sys / "bus/pci/devices"
    for name, vendor, kind in [
        ("0000:01:00.0", "0x10de", "0x030200"),
        ("0000:01:00.1", "0x10de", "0x040300"),  # the same card's sound
        ("0000:02:00.0", "0x1002", "0x030000"),
    ]:
        write(devices / name / "vendor", f"{vendor}\n")
        write(devices / name / "class", f"{kind}\n")
    (devices / "odd").mkdir()
    finding = the_only(driver_findings(Sight(), roots), Level.WARN)
    assert finding.found == "none, although 1 NVIDIA GPU is on the PCI bus"


def test_a_machine_without_anything_of_nvidia_has_no_line(roots: Roots) -> None:
    assert list(driver_findings(Sight(), roots)) == []


def test_device_files_that_can_be_used_are_ok(roots: Roots) -> None:
    for name in ("nvidia0", "nvidiactl", "nvidia-uvm"):
        (roots.dev / name).touch()
    the_only(permission_findings(roots), Level.OK)


def test_a_missing_uvm_device_warns(roots: Roots) -> None:
    (roots.dev / "nvidiactl").touch()
    assert "nvidia-modprobe" in the_only(permission_findings(roots), Level.WARN).todo


@pytest.mark.parametrize(
    ("closed", "level"),
    [(["nvidiactl"], Level.FAIL), (["nvidia0", "nvidia1"], Level.FAIL), (["nvidia1"], Level.WARN)],
)
def test_device_files_of_others_are_named(
    roots: Roots, monkeypatch: pytest.MonkeyPatch, closed: list[str], level: Level
) -> None:
    """Root may open everything, so the kernel's answer is given here."""
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"):
        (roots.dev / name).touch()
    monkeypatch.setattr(os, "access", lambda path, _: path.name not in closed)
    finding = the_only(permission_findings(roots), level)
    assert ", ".join(closed) in finding.found
