"""What a run needs on the machine is there inside the block, and gone afterwards however it ends."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from mps_experiments.config.schema import ComputeMode
from mps_experiments.errors import DaemonError
from mps_experiments.machine.cell_variables import not_passed_on
from mps_experiments.machine.gpus import FixedProbe
from mps_experiments.mps.control import CONTROL_PROGRAM, PIPE_DIRECTORY, SERVER_PROGRAM
from mps_experiments.mps.guardian import Guardian
from mps_experiments.mps.processes import processes_of
from mps_experiments.record.machine import GpuProcess
from mps_experiments.run.environment import open_environment
from mps_experiments.run.plan import RunPlan
from tests.fakes.client import Attachment
from tests.fakes.plans import CHECKOUT, FAKE_GPU, is_running, run_plan, short_folder, use_fakes, wait_until

RUNNER = CHECKOUT / "tests" / "fakes" / "environment_runner.py"


@pytest.fixture(autouse=True)
def modes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Install the stand-ins; return the file in which nvidia-smi's notes the modes it was told to set."""
    use_fakes(monkeypatch)
    path = tmp_path / "modes"
    path.touch()
    monkeypatch.setenv("FAKE_SMI_MODES", str(path))
    return path


@pytest.fixture(scope="module")
def guardian() -> Iterator[Guardian]:
    with Guardian() as started:
        yield started


def plan(tmp_path: Path, *, enabled: bool, exclusive: bool = False) -> RunPlan:
    mode = ComputeMode.exclusive_process if exclusive else ComputeMode.keep
    return run_plan(tmp_path / "run", mps={"enabled": enabled, "compute_mode": mode})


@pytest.mark.parametrize("enabled", [True, False])
def test_the_folder_is_private_and_short_and_gone_afterwards_with_its_daemon(
    tmp_path: Path, guardian: Guardian, enabled: bool
) -> None:
    other = GpuProcess(pid=4711, memory_bytes=1)
    probe = FixedProbe((FAKE_GPU,), (other,))
    with open_environment(plan(tmp_path, enabled=enabled), probe, guardian) as environment:
        pipe_dir = Path(environment.variables[PIPE_DIRECTORY])
        assert pipe_dir.stat().st_mode & 0o777 == 0o700
        assert pipe_dir.parent.stat().st_mode & 0o777 == 0o700
        assert len(str(pipe_dir / "control_privileged")) <= 106
        assert environment.variables["CUDA_VISIBLE_DEVICES"] == FAKE_GPU.uuid
        assert environment.foreign_processes == (other,)
        assert (len(processes_of(pipe_dir)), bool(list(pipe_dir.iterdir()))) == (int(enabled), enabled)
        seen = environment.observe(look_again=True)
        assert (seen.server_status, seen.client_pids) == ({}, ())
    assert not pipe_dir.parent.exists()
    assert processes_of(pipe_dir) == ()
    if enabled:
        assert "Starting control daemon" in (tmp_path / "run" / "control.log").read_text()


def test_a_long_temporary_directory_is_not_used(
    tmp_path: Path, guardian: Guardian, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("x" * 80)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    with open_environment(plan(tmp_path, enabled=True), FixedProbe(), guardian) as environment:
        assert environment.variables[PIPE_DIRECTORY].startswith("/tmp/mpsx-")


@pytest.mark.parametrize("program", [CONTROL_PROGRAM, SERVER_PROGRAM])
def test_daemon_and_server_have_the_cells_variables_and_none_of_the_shell(
    tmp_path: Path, guardian: Guardian, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    for name in ("CUDA_MPS_ACTIVE_THREAD_PERCENTAGE", "CUDA_DEVICE_MAX_CONNECTIONS"):
        monkeypatch.setenv(name, "10")
    monkeypatch.setenv("CUDA_MPS_PROTOCOL_VERSION", "3")
    with open_environment(plan(tmp_path, enabled=True), FixedProbe(), guardian) as environment:
        pipe_dir = Path(environment.variables[PIPE_DIRECTORY])
        monkeypatch.setenv(PIPE_DIRECTORY, str(pipe_dir))
        with Attachment() as client:
            assert client.is_on
            (pid,) = (each.pid for each in processes_of(pipe_dir) if each.program == program)
            seen = not_passed_on(psutil.Process(pid).environ())
    assert seen == {
        "CUDA_MPS_LOG_DIRECTORY": str(pipe_dir.with_name("log")),
        "CUDA_MPS_PIPE_DIRECTORY": str(pipe_dir),
        "CUDA_MPS_PROTOCOL_VERSION": "2",
    }


def test_on_the_cpu_no_gpu_is_visible(tmp_path: Path, guardian: Guardian) -> None:
    on_cpu = run_plan(tmp_path / "run", gpu=None, mps={"enabled": False})
    with open_environment(on_cpu, FixedProbe(), guardian) as environment:
        assert environment.variables["CUDA_VISIBLE_DEVICES"] == ""
        assert environment.observe().nvml_mps_pids is None


@pytest.mark.parametrize("enabled", [True, False])
def test_an_error_inside_the_block_leaves_nothing(tmp_path: Path, guardian: Guardian, enabled: bool) -> None:
    opened = open_environment(plan(tmp_path, enabled=enabled), FixedProbe(), guardian)
    pipe_dir = Path(opened.__enter__().variables[PIPE_DIRECTORY])
    swallowed = opened.__exit__(ZeroDivisionError, ZeroDivisionError(), None)
    assert not swallowed
    assert not pipe_dir.parent.exists()
    assert processes_of(pipe_dir) == ()


def test_a_daemon_that_does_not_start_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, modes: Path
) -> None:
    monkeypatch.setenv("FAKE_MPS", "exit=1")
    with short_folder() as folder:
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        with (
            Guardian() as own,
            pytest.raises(DaemonError, match="ended at once"),
            open_environment(plan(tmp_path, enabled=True, exclusive=True), FixedProbe(), own),
        ):
            pytest.fail("it was opened without a daemon")
        assert list(folder.iterdir()) == []
        assert modes.read_text().split() == ["EXCLUSIVE_PROCESS", "DEFAULT"]


@pytest.mark.parametrize("fails", [False, True])
def test_the_compute_mode_is_put_back_once(tmp_path: Path, modes: Path, fails: bool) -> None:
    exclusive = plan(tmp_path, enabled=True, exclusive=True)
    with Guardian() as own:
        try:
            with open_environment(exclusive, FixedProbe(), own):
                assert modes.read_text().split() == ["EXCLUSIVE_PROCESS"]
                if fails:
                    _ = 1 / 0
        except ZeroDivisionError:
            assert fails
    assert modes.read_text().split() == ["EXCLUSIVE_PROCESS", "DEFAULT"]


def test_a_compute_mode_that_is_kept_or_already_there_is_not_touched(tmp_path: Path, modes: Path) -> None:
    already = run_plan(
        tmp_path / "run",
        gpu=replace(FAKE_GPU, compute_mode="Exclusive_Process"),
        mps={"compute_mode": ComputeMode.exclusive_process},
    )
    with Guardian() as own:
        for each in (already, plan(tmp_path, enabled=False)):
            with open_environment(each, FixedProbe(), own):
                pass
    assert modes.read_text() == ""


def test_without_root_the_refusal_is_about_the_mode_that_was_asked_for(
    tmp_path: Path, guardian: Guardian, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_SMI", "refuse")
    with (
        pytest.raises(DaemonError, match="refused the compute mode EXCLUSIVE_PROCESS"),
        open_environment(plan(tmp_path, enabled=True, exclusive=True), FixedProbe(), guardian),
    ):
        pytest.fail("it was opened in the wrong compute mode")


def test_a_mode_that_could_not_be_put_back_is_not_forgotten_by_the_next_run(
    tmp_path: Path, modes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Guardian() as own:
        with (
            pytest.raises(DaemonError, match="refused the compute mode Default"),
            open_environment(plan(tmp_path, enabled=False, exclusive=True), FixedProbe(), own),
        ):
            monkeypatch.setenv("FAKE_SMI", "refuse")
        monkeypatch.delenv("FAKE_SMI")
        with open_environment(plan(tmp_path, enabled=False), FixedProbe(), own):
            pass
        assert modes.read_text().split() == ["EXCLUSIVE_PROCESS"]
    assert modes.read_text().split() == ["EXCLUSIVE_PROCESS", "DEFAULT"]


@pytest.mark.parametrize("exclusive", [False, True])
def test_after_sigkill_of_the_runner_daemon_folder_and_compute_mode_are_put_back(
    tmp_path: Path, modes: Path, exclusive: bool
) -> None:
    with subprocess.Popen(
        [sys.executable, RUNNER, tmp_path / "run", "exclusive" if exclusive else "keep"],
        env=os.environ | {"PYTHONPATH": f"{CHECKOUT}:{CHECKOUT / 'src'}"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as runner:
        assert runner.stdout is not None
        report = json.loads(runner.stdout.readline())
        assert report["is_on"]
        pipe_dir = Path(report["pipe_dir"])
        wait_until(lambda: len(processes_of(pipe_dir)) == 2, "daemon and server are there")
        guardian = psutil.Process(report["guardian"])
        runner.send_signal(signal.SIGKILL)
    wait_until(lambda: not is_running(guardian), "the guardian has done its work")
    assert processes_of(pipe_dir) == ()
    assert not pipe_dir.parent.exists()
    assert modes.read_text().split() == (["EXCLUSIVE_PROCESS", "DEFAULT"] if exclusive else [])
