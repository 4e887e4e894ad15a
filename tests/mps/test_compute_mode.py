"""The compute mode, set through a stand-in for nvidia-smi: a test never changes a real card."""

import os
from pathlib import Path

import pytest

from mps_experiments.errors import DaemonError
from mps_experiments.mps.compute_mode import EXCLUSIVE_PROCESS, set_compute_mode
from tests.fakes.plans import FAKE_GPU

TIMEOUT_S = 20.0


def test_the_mode_reaches_nvidia_smi_in_capitals(
    fake_programs: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FAKE_SMI_MODES", str(tmp_path / "modes"))
    set_compute_mode(FAKE_GPU.uuid, EXCLUSIVE_PROCESS, TIMEOUT_S)
    set_compute_mode(FAKE_GPU.uuid, "Default", TIMEOUT_S)
    assert (tmp_path / "modes").read_text().split() == ["EXCLUSIVE_PROCESS", "DEFAULT"]


def test_without_root_the_refusal_is_told_in_one_line(
    fake_programs: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_SMI", "refuse")
    with pytest.raises(DaemonError, match=r"^nvidia-smi refused .*: Unable .* Insufficient Permissions .*$"):
        set_compute_mode(FAKE_GPU.uuid, EXCLUSIVE_PROCESS, TIMEOUT_S)


def test_without_nvidia_smi_the_error_names_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DaemonError, match="nvidia-smi is not on PATH"):
        set_compute_mode(FAKE_GPU.uuid, EXCLUSIVE_PROCESS, TIMEOUT_S)


@pytest.mark.parametrize(
    ("script", "timeout_s", "said"),
    [
        ("#!/nowhere/interpreter\n", TIMEOUT_S, "could not set the compute mode"),
        ("#!/bin/sh\nexec sleep 1000\n", 0.2, r"to Default: .* timed out after 0\.2 seconds"),
    ],
    ids=["cannot be run", "does not answer"],
)
def test_an_nvidia_smi_that_does_not_work_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, timeout_s: float, said: str
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(script)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(DaemonError, match=said):
        set_compute_mode(FAKE_GPU.uuid, "Default", timeout_s)
