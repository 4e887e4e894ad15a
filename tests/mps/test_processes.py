"""MPS processes are found by their program and pipe directory, and no other process is ever ended."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from mps_experiments.mps.control import CONTROL_PROGRAM, PID_FILE, PIPE_DIRECTORY, SERVER_PROGRAM
from mps_experiments.mps.processes import end_processes_of, kill_servers_of, mps_processes, processes_of
from tests.fakes.client import Attachment
from tests.fakes.plans import BIN, FAKE_GPU, daemon_of_somebody_else, is_running, wait_until
from tests.mps.conftest import NewDaemon

OTHER_UUID = "GPU-6d0eddc6-6d21-4916-9c4c-ffffffffffff"


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def attach(pipe_dir: Path, stack: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have this process be a client of the stand-in, so that its server is started."""
    with monkeypatch.context() as patch:
        patch.setenv(PIPE_DIRECTORY, str(pipe_dir))
        attachment = stack.enter_context(Attachment())
    assert attachment.is_on


def test_the_daemon_and_its_server_belong_to_their_pipe_directory(
    fake_programs: None, new_daemon: NewDaemon, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    with new_daemon() as daemon:
        attach(daemon.pipe_dir, stack, monkeypatch)
        wait_until(lambda: len(processes_of(daemon.pipe_dir)) == 2, "the server is there")
        found = {process.program: process.pid for process in processes_of(daemon.pipe_dir)}
        assert found == {CONTROL_PROGRAM: daemon.pid, SERVER_PROGRAM: daemon.control.servers()[0]}
        stack.close()
    assert processes_of(daemon.pipe_dir) == ()


def test_a_daemon_is_known_by_pid_start_and_directory(gpu_uuid: str, new_daemon: NewDaemon) -> None:
    with new_daemon(gpu_uuid) as daemon:
        seen = {process.pid: process for process in mps_processes()}
        assert seen[daemon.pid].pipe_dir == str(daemon.pipe_dir)
        assert seen[daemon.pid].started_s == psutil.Process(daemon.pid).create_time()


def test_ending_one_directory_leaves_another_alone(
    gpu_uuid: str, new_daemon: NewDaemon, foreign_daemon: Path
) -> None:
    with new_daemon(gpu_uuid) as daemon:
        end_processes_of(daemon.pipe_dir, 5.0)
        assert not daemon.is_alive()
        assert [process.program for process in processes_of(foreign_daemon)] == [CONTROL_PROGRAM]


def test_the_servers_of_one_directory_are_killed_and_nothing_else(
    fake_programs: None, new_daemon: NewDaemon, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    with new_daemon() as daemon, new_daemon(name="other") as other:
        for each in (daemon, other):
            attach(each.pipe_dir, stack, monkeypatch)
        (server,), others = daemon.control.servers(), processes_of(other.pipe_dir)
        assert kill_servers_of(daemon.pipe_dir) == (server,)
        wait_until(lambda: daemon.control.servers() == (), "the daemon has seen it")
        assert [process.pid for process in processes_of(daemon.pipe_dir)] == [daemon.pid]
        assert len(others) == 2
        assert processes_of(other.pipe_dir) == others
        assert kill_servers_of(daemon.pipe_dir) == ()


@pytest.mark.parametrize("misbehaviour", ["ignore_term", "ignore_term server_stays"])
def test_what_ignores_sigterm_is_killed(
    fake_programs: None,
    misbehaviour: str,
    new_daemon: NewDaemon,
    stack: ExitStack,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FAKE_MPS", misbehaviour)
    with new_daemon(quit_s=0.2) as daemon:
        attach(daemon.pipe_dir, stack, monkeypatch)
        wait_until(lambda: len(processes_of(daemon.pipe_dir)) == 2, "the server is there")
        end_processes_of(daemon.pipe_dir, 0.2)
        assert processes_of(daemon.pipe_dir) == ()


@pytest.mark.parametrize(
    ("visible", "told"),
    [
        (None, None),
        (FAKE_GPU.uuid, (FAKE_GPU.uuid,)),
        (f"{FAKE_GPU.uuid}, {OTHER_UUID}", (FAKE_GPU.uuid, OTHER_UUID)),
        ("", None),
        ("1", None),
        (f"{FAKE_GPU.uuid},1", None),
        ("GPU-6d0eddc6", None),
        ("MIG-6d0eddc6-6d21-4916-9c4c-0123456789ab", None),
    ],
)
def test_only_whole_uuids_tell_which_gpus_a_daemon_serves(
    fake_programs: None,
    short_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    visible: str | None,
    told: tuple[str, ...] | None,
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    with daemon_of_somebody_else(short_dir / "pipe"):
        assert [process.gpu_uuids for process in processes_of(short_dir / "pipe")] == [told]


def test_a_daemon_without_a_directory_of_its_own_is_where_its_pid_file_is(
    fake_programs: None, short_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Do this for the directory of root's daemon, which is /run/nvidia-mps from driver 615 on."""
    (short_dir / "run").mkdir()
    places = (short_dir / "tmp", short_dir / "run")
    monkeypatch.setattr("mps_experiments.mps.processes.DEFAULT_PIPE_DIRECTORIES", places)
    environment = {key: value for key, value in os.environ.items() if key != PIPE_DIRECTORY}
    with subprocess.Popen(
        [BIN / CONTROL_PROGRAM, "-f"],
        env=environment | {"FAKE_MPS": "slow_start=60"},  # it never makes the folder that is the real default
        stdout=subprocess.DEVNULL,
    ) as process:
        try:
            wait_until(lambda: process.pid in {seen.pid for seen in mps_processes()}, "it is there")
            (short_dir / "run" / PID_FILE).write_text(f"{process.pid}\n")
            (found,) = (seen for seen in mps_processes() if seen.pid == process.pid)
            assert found.pipe_dir == str(short_dir / "run")
        finally:
            process.kill()


def test_a_zombie_counts_as_gone(fake_programs: None, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [BIN / CONTROL_PROGRAM, "-f"],
        env=os.environ | {PIPE_DIRECTORY: str(tmp_path), "FAKE_MPS": "exit=1"},
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: not is_running(psutil.Process(process.pid)), "it is a zombie")
        assert process.pid not in {seen.pid for seen in mps_processes()}
        end_processes_of(tmp_path, 0.1)
    finally:
        process.wait()


@pytest.mark.parametrize(
    "command",
    [
        pytest.param([BIN / CONTROL_PROGRAM], id="somebody who only asks a daemon"),
        pytest.param([sys.executable, "-c", "input()", CONTROL_PROGRAM, "-d"], id="the name as an argument"),
        pytest.param(["tail", "-f", str(BIN / CONTROL_PROGRAM)], id="a reader of the file"),
    ],
)
def test_a_process_that_only_looks_like_a_daemon_is_none(
    fake_programs: None, command: list[str], tmp_path: Path
) -> None:
    with subprocess.Popen(
        command,
        env=os.environ | {PIPE_DIRECTORY: str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            expected = "python" if command[0] != "tail" else "tail"
            wait_until(lambda: psutil.Process(process.pid).name().startswith(expected), "it has begun")
            end_processes_of(tmp_path, 0.1)
            assert process.pid not in {seen.pid for seen in mps_processes()}
            assert process.poll() is None
        finally:
            process.kill()
