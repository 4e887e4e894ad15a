"""The life of a private daemon, good and bad; whatever happens, no process of it is left."""

import os
import signal
from pathlib import Path

import psutil
import pytest

from mps_experiments.errors import DaemonError
from mps_experiments.mps.control import PIPE_DIRECTORY, SERVER_PROGRAM, MpsControl
from mps_experiments.mps.daemon import DaemonTimeouts, MpsDaemon
from mps_experiments.mps.processes import processes_of
from tests.fakes.client import Attachment
from tests.fakes.plans import FAKE_GPU, wait_until
from tests.mps.conftest import NewDaemon


def test_a_daemon_answers_is_ours_and_is_gone_afterwards(gpu_uuid: str, new_daemon: NewDaemon) -> None:
    daemon = new_daemon(gpu_uuid)
    with daemon:
        assert daemon.control.servers() == ()
        assert daemon.is_alive()
        assert int((daemon.pipe_dir / "nvidia-cuda-mps-control.pid").read_text()) == daemon.pid
        assert daemon.pipe_dir.stat().st_mode & 0o777 == 0o700
    assert not daemon.is_alive()
    assert processes_of(daemon.pipe_dir) == ()


def test_only_the_planned_gpu_is_visible_to_the_daemon(gpu_uuid: str, new_daemon: NewDaemon) -> None:
    with new_daemon(gpu_uuid) as daemon:
        environment = psutil.Process(daemon.pid).environ()
        assert os.getpgid(daemon.pid) != os.getpgid(0)  # out of reach of Ctrl-C
    assert environment["CUDA_VISIBLE_DEVICES"] == gpu_uuid
    assert environment["CUDA_MPS_LOG_DIRECTORY"] == str(daemon.pipe_dir.with_name("log"))


def test_an_error_inside_the_block_ends_the_daemon_too(gpu_uuid: str, new_daemon: NewDaemon) -> None:
    daemon = new_daemon(gpu_uuid)
    with pytest.raises(ZeroDivisionError), daemon:
        _ = 1 / 0
    assert processes_of(daemon.pipe_dir) == ()


def test_a_daemon_that_was_killed_is_gone_and_its_end_is_in_order(
    gpu_uuid: str, new_daemon: NewDaemon, tmp_path: Path
) -> None:
    with new_daemon(gpu_uuid) as daemon:
        daemon.kill()
        assert not daemon.is_alive()
        with pytest.raises(DaemonError, match="Cannot find MPS control daemon"):
            daemon.control.servers()
    assert processes_of(daemon.pipe_dir) == ()
    assert str(daemon.pid) in (tmp_path / "d-control.log").read_text()


def test_a_server_that_outlives_its_killed_daemon_is_ended_too(
    fake_programs: None, new_daemon: NewDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_MPS", "server_stays")
    with new_daemon(quit_s=0.5) as daemon:
        monkeypatch.setenv(PIPE_DIRECTORY, str(daemon.pipe_dir))
        with Attachment():
            server = daemon.control.servers()[0]
            daemon.kill()
            assert [process.pid for process in processes_of(daemon.pipe_dir)] == [server]
    assert processes_of(daemon.pipe_dir) == ()


def test_a_daemon_of_somebody_else_is_not_touched(
    gpu_uuid: str, new_daemon: NewDaemon, foreign_daemon: Path
) -> None:
    before = processes_of(foreign_daemon)
    with new_daemon(gpu_uuid) as daemon:
        assert daemon.pid not in {process.pid for process in before}
    assert processes_of(foreign_daemon) == before
    assert MpsControl(daemon.control.program, foreign_daemon, 5.0).servers() == ()


def test_the_logs_of_daemon_and_server_are_kept_apart(
    fake_programs: None, new_daemon: NewDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with new_daemon() as daemon:
        monkeypatch.setenv(PIPE_DIRECTORY, str(daemon.pipe_dir))
        with Attachment():
            server = daemon.control.servers()[0]
            wait_until(lambda: daemon.control.clients(), "this process is a client")
    control, server_log = ((tmp_path / f"d-{name}.log").read_text() for name in ("control", "server"))
    assert f"Client {{PID: {os.getpid()}, Context ID: 0}} connected" in server_log
    assert all(f"Server {server:>5}]" in line for line in server_log.splitlines())
    assert f"Server {server} exited with status 0" in control
    assert f"Server {server:>5}]" not in control


# The last of its tries, cut short by the deadline, may itself be too late on a busy machine.
# Whoever looks for daemons, another test as well, holds the folder's lock meanwhile.
LATE = r"the MPS daemon (did not answer 'get_server_list' within|was busy with other questions for) 0\.\d+ s"


@pytest.mark.parametrize(
    ("misbehaviour", "reason"),
    [
        ("exit=1", "ended at once with code 1: .*device is unavailable"),
        ("exit=0", "ended at once with code 0"),
        ("stale_pid", "another daemon answers in .*: pid 1, not ours"),
    ],
)
def test_a_daemon_that_ends_or_is_another_one_is_an_error_and_is_ended(
    fake_programs: None,
    new_daemon: NewDaemon,
    monkeypatch: pytest.MonkeyPatch,
    misbehaviour: str,
    reason: str,
) -> None:
    """It is seen as soon as it happens, however long the daemon takes to get there."""
    monkeypatch.setenv("FAKE_MPS", misbehaviour)
    assert_does_not_come_up(new_daemon(quit_s=0.4), reason)


@pytest.mark.parametrize(
    ("misbehaviour", "reason"),
    [
        ("slow_start=30", rf"(.*Cannot find MPS control daemon process|{LATE})"),
        ("silent", LATE),
        ("refuse", rf"(.*Permission denied|{LATE})"),
    ],
)
def test_a_daemon_that_does_not_answer_in_time_is_an_error_and_is_ended(
    fake_programs: None,
    new_daemon: NewDaemon,
    monkeypatch: pytest.MonkeyPatch,
    misbehaviour: str,
    reason: str,
) -> None:
    monkeypatch.setenv("FAKE_MPS", misbehaviour)
    daemon = new_daemon(start_s=0.6, command_s=0.4, quit_s=0.4)
    assert_does_not_come_up(daemon, rf"did not answer within 0\.6 s \({reason}")


def assert_does_not_come_up(daemon: MpsDaemon, reason: str) -> None:
    with pytest.raises(DaemonError, match=reason), daemon:
        pytest.fail("it was taken for a daemon that works")
    assert not daemon.is_alive()
    assert processes_of(daemon.pipe_dir) == ()


def test_a_slow_daemon_is_waited_for(
    fake_programs: None, new_daemon: NewDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_MPS", "slow_start=0.5")
    with new_daemon() as daemon:
        assert daemon.control.servers() == ()


@pytest.mark.parametrize(
    "misbehaviour", ["ignore_quit", "ignore_quit ignore_term", "server_stays", "server_stays ignore_term"]
)
def test_a_daemon_that_will_not_go_is_made_to(
    fake_programs: None, new_daemon: NewDaemon, monkeypatch: pytest.MonkeyPatch, misbehaviour: str
) -> None:
    monkeypatch.setenv("FAKE_MPS", misbehaviour)
    with new_daemon(quit_s=0.3) as daemon:
        monkeypatch.setenv(PIPE_DIRECTORY, str(daemon.pipe_dir))
        with Attachment():
            wait_until(lambda: len(processes_of(daemon.pipe_dir)) == 2, "the server is there")
        if "server_stays" in misbehaviour:
            os.kill(daemon.pid, signal.SIGKILL)
            wait_until(lambda: not daemon.is_alive(), "the daemon is dead")
            assert [process.program for process in processes_of(daemon.pipe_dir)] == [SERVER_PROGRAM]
    assert not daemon.is_alive()
    assert processes_of(daemon.pipe_dir) == ()


def test_a_daemon_that_falls_silent_later_is_ended_and_its_log_kept(
    fake_programs: None, new_daemon: NewDaemon, tmp_path: Path
) -> None:
    with new_daemon(command_s=0.3, quit_s=0.3) as daemon:
        os.kill(daemon.pid, signal.SIGSTOP)
        # Another test that looks for daemons may be asking it, too, and then has the turn.
        with pytest.raises(DaemonError, match=r"did not answer 'ps'|was busy with other questions"):
            daemon.control.clients()
    assert processes_of(daemon.pipe_dir) == ()
    assert "Starting control daemon" in (tmp_path / "d-control.log").read_text()


def test_a_second_daemon_in_a_directory_in_use_is_refused(
    fake_programs: None, new_daemon: NewDaemon, short_dir: Path, tmp_path: Path
) -> None:
    with new_daemon() as first:
        second = MpsDaemon(
            program=first.control.program,
            folder=short_dir / "d",
            gpu_uuid=FAKE_GPU.uuid,
            timeouts=DaemonTimeouts(start_s=5.0, command_s=5.0, quit_s=0.3),
            control_log=tmp_path / "second.log",
            server_log=tmp_path / "second-server.log",
        )
        with pytest.raises(DaemonError, match=r"already running|another daemon answers"), second:
            pytest.fail("a daemon of somebody else was adopted")


def test_a_socket_path_that_is_too_long_is_refused_before_anything_starts(
    gpu_uuid: str, short_dir: Path, new_daemon: NewDaemon
) -> None:
    daemon = new_daemon(gpu_uuid, name="x" * (106 - len(f"{short_dir}//pipe/control_privileged") + 1))
    with pytest.raises(DaemonError, match="is longer than 106 bytes"), daemon:
        pytest.fail("it was started")
    assert not daemon.pipe_dir.exists()
    assert processes_of(daemon.pipe_dir) == ()


def test_the_longest_socket_path_that_fits_works(
    gpu_uuid: str, short_dir: Path, new_daemon: NewDaemon
) -> None:
    with new_daemon(gpu_uuid, name="x" * (106 - len(f"{short_dir}//pipe/control_privileged"))) as daemon:
        assert len(str(daemon.pipe_dir / "control_privileged")) == 106
        assert daemon.control.servers() == ()


def test_a_program_that_cannot_be_run_is_an_error(short_dir: Path, tmp_path: Path) -> None:
    daemon = MpsDaemon(
        program=tmp_path / "nothing",
        folder=short_dir,
        gpu_uuid=FAKE_GPU.uuid,
        timeouts=DaemonTimeouts(start_s=1.0, command_s=1.0, quit_s=1.0),
        control_log=tmp_path / "control.log",
        server_log=tmp_path / "server.log",
    )
    with pytest.raises(DaemonError, match="nothing cannot be run: No such file"), daemon:
        pytest.fail("it was started")
