"""Torch is asked in a child process; packages that are broken in many ways are real packages here."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from mps_experiments.doctor.finding import Level
from mps_experiments.doctor.torch_check import Answer, ask, cuda_finding, judge, runs_on, torch_findings
from mps_experiments.mps.control import PIPE_DIRECTORY
from tests.doctor.conftest import CUDA, H100, by_name, the_only, write

TIMEOUT_S = 240.0
GOOD = Answer(
    torch="2.11.0+cu130",
    cuda="13.0",
    available=True,
    architectures=("sm_80", "sm_90", "sm_120"),
    torchvision="0.26.0+cu130",
)
TORCH = """
class _Cuda:
    def is_available(self): return False
    def get_arch_list(self): return []
class _Version:
    cuda = "13.0"
__version__, cuda, version = "9.9", _Cuda(), _Version()
"""
VISION_DOES_NOT_FIT = "raise RuntimeError('operator torchvision::nms does not exist')\n"


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose packages come first in child processes."""
    folder = tmp_path / "packages"
    folder.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return folder


def test_the_installed_torch_answers_and_leaves_nothing(temporary: Path) -> None:
    answer = ask(None, TIMEOUT_S)
    assert answer.problem == answer.torchvision_problem == ""
    assert answer.torch
    assert answer.torchvision
    assert not answer.available  # CUDA_VISIBLE_DEVICES is empty


def test_the_child_sees_one_gpu_and_an_empty_private_pipe_directory(packages: Path, temporary: Path) -> None:
    write(
        packages / "torch/__init__.py",
        "import os, stat\n"
        f"d = os.environ['{PIPE_DIRECTORY}']\n"
        "raise RuntimeError(os.environ['CUDA_VISIBLE_DEVICES'], os.listdir(d), oct(os.stat(d).st_mode))\n",
    )
    assert ask(H100, TIMEOUT_S).problem == f"RuntimeError: ('{H100.uuid}', [], '0o40700')"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (
            "raise ImportError('libcudart.so.13: cannot open shared object file')",
            "ImportError: libcudart.so.13",
        ),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "the import ended with SIGSEGV"),
        ("import sys; sys.exit('no licence')", "the import ended with exit code 1: no licence"),
        ("import os; os.write(1, b'[1, 2]'); os._exit(0)", "the import ended with exit code 0: no message"),
    ],
    ids=["no library", "crash", "exit", "garbage"],
)
def test_a_torch_that_cannot_be_imported_fails_with_the_reason(
    packages: Path, content: str, problem: str
) -> None:
    write(packages / "torch/__init__.py", content)
    finding = the_only(torch_findings(None, None, TIMEOUT_S), Level.FAIL)
    assert finding.found.startswith(problem)


def test_a_torch_that_hangs_fails_and_its_process_is_gone(packages: Path) -> None:
    write(packages / "torch/__init__.py", "import signal\nsignal.pause()\n")
    before = psutil.Process().children()
    finding = the_only(torch_findings(None, None, 1.0), Level.FAIL)
    assert finding.found == "could not be imported within 1 s"
    assert psutil.Process().children() == before


def test_a_torchvision_that_does_not_fit_fails_by_its_own_words(packages: Path) -> None:
    write(packages / "torch/__init__.py", TORCH)
    write(packages / "torchvision/__init__.py", VISION_DOES_NOT_FIT)
    found = by_name(torch_findings(None, None, TIMEOUT_S))
    assert found["torch"].level is Level.OK
    assert found["torchvision"].level is Level.FAIL
    assert "operator torchvision::nms does not exist" in found["torchvision"].found


def test_the_doctor_itself_never_imports_torch() -> None:
    code = "import sys, mps_experiments.doctor.command; sys.exit('torch' in sys.modules)"
    paths = {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], env=os.environ | paths, check=True, timeout=120)


def test_parts_that_fit_together_are_ok_in_every_line() -> None:
    found = by_name(judge(GOOD, H100, CUDA))
    assert list(found) == ["torch", "torchvision", "torch and CUDA"]
    assert {each.level for each in found.values()} == {Level.OK}


def test_on_the_cpu_nothing_is_said_of_cuda() -> None:
    assert list(by_name(judge(replace(GOOD, cuda=None), None, None))) == ["torch", "torchvision"]


@pytest.mark.parametrize(
    ("change", "driver_cuda", "found"),
    [
        ({"cuda": None}, CUDA, "is built without CUDA"),
        ({}, "12.4", "the driver is too old: torch's CUDA 13.0, the driver's 12.4"),
        ({"available": False, "said": "CUDA initialization: no"}, CUDA, "torch finds no CUDA: CUDA init"),
        ({"architectures": ("sm_75", "sm_120")}, CUDA, "(9.0), only sm_75, sm_120"),
    ],
    ids=["no CUDA", "old driver", "unavailable", "no kernels"],
)
def test_parts_that_do_not_fit_fail_with_both_sides(
    change: dict[str, object], driver_cuda: str, found: str
) -> None:
    finding = cuda_finding(replace(GOOD, **change), H100, driver_cuda)  # type: ignore[arg-type]
    assert finding.level is Level.FAIL
    assert found in finding.found


@pytest.mark.parametrize("driver_cuda", ["13.0", "13.1", "14.0", None])
def test_a_driver_of_the_same_or_a_later_cuda_is_ok(driver_cuda: str | None) -> None:
    assert cuda_finding(GOOD, H100, driver_cuda).level is Level.OK


@pytest.mark.parametrize(
    ("architectures", "capability", "expected"),
    [
        (("sm_90",), "9.0", True),
        (("sm_80",), "8.6", True),
        (("sm_86",), "8.0", False),
        (("sm_80",), "9.0", False),
        (("compute_80",), "9.0", True),
        (("compute_90",), "8.0", False),
        (("sm_90a",), "9.0", True),
        (("sm_120",), "12.0", True),
        (("gfx90a", "odd"), "9.0", False),
        ((), "9.0", False),
    ],
)
def test_kernels_run_within_a_major_version_and_ptx_on_what_is_newer(
    architectures: tuple[str, ...], capability: str, expected: bool
) -> None:
    assert runs_on(architectures, capability) is expected
