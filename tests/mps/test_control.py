"""The dialogue with the control program: its real answers, and anything else."""

import fcntl
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from mps_experiments.errors import DaemonError
from mps_experiments.mps.control import (
    PIPE_DIRECTORY,
    MpsClient,
    MpsControl,
    control_program,
    parse_clients,
    parse_pids,
)
from tests.fakes.client import Attachment
from tests.fakes.plans import BIN, use_fakes
from tests.mps.conftest import NewDaemon

# As printed by driver 580.159.04.
PS = (
    "PID       ID        SERVER         DEVICE                    NAMESPACE      COMMAND        \n"
    "472       1         476            GPU-6d0eddc6-6d21-4916    4026531836     /opt/venv/bin/python3\n"
    "473       2         476            GPU-6d0eddc6-6d21-4916    4026531836     python worker 7 8 9\n"
)


def test_each_row_of_ps_is_a_client() -> None:
    device = "GPU-6d0eddc6-6d21-4916"
    assert parse_clients(PS) == (
        MpsClient(pid=472, server_pid=476, device=device),
        MpsClient(pid=473, server_pid=476, device=device),
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "Server not found\n",
        PS.splitlines()[0],
        "472 1\n",
        "472 1 476\n",
        "x472 1 476 GPU-1 1 python\n",
        "-472 1 476 GPU-1 1 python\n",
        "99999999999 1 476 GPU-1 1 python\n",
        "٤٧٢ 1 476 GPU-1 1 python\n",
        "\x00\ufffd\ufffd\n",
    ],
)
def test_what_is_no_row_of_ps_is_no_client(text: str) -> None:
    assert parse_clients(text) == ()


@pytest.mark.parametrize(
    ("text", "pids"),
    [
        ("476\n", (476,)),
        ("476\n512\n", (476, 512)),
        ("", ()),
        ("Server 999999 not found\n", ()),
        ("Server not found\n476\n", (476,)),
        ("476 512\n", ()),
        ("-476\n", ()),
        ("99999999999\n", ()),
        ("٤٧٦\n", ()),
    ],
)
def test_a_pid_is_a_line_of_its_own(text: str, pids: tuple[int, ...]) -> None:
    assert parse_pids(text) == pids


def test_the_control_program_is_found_on_path_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use_fakes(monkeypatch)
    assert control_program() == BIN / "nvidia-cuda-mps-control"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert control_program() is None


def test_before_its_first_client_a_daemon_has_no_server(gpu_uuid: str, new_daemon: NewDaemon) -> None:
    with new_daemon(gpu_uuid) as daemon:
        assert daemon.control.servers() == ()
        assert daemon.control.clients() == ()
        assert daemon.control.server_status(999999) == "Server 999999 not found"
        assert daemon.control.server_states() == {}


def test_a_server_that_goes_between_list_and_status_has_no_state(
    gpu_uuid: str, new_daemon: NewDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    with new_daemon(gpu_uuid) as daemon:
        monkeypatch.setattr(MpsControl, "servers", lambda _: (999999,))
        assert daemon.control.server_states() == {}


def test_without_a_daemon_every_question_is_an_error(gpu_uuid: str, short_dir: Path) -> None:
    program = control_program()
    assert program is not None
    control = MpsControl(program, short_dir, 5.0)
    for ask in (control.servers, control.clients, lambda: control.server_status(1), lambda: control.quit(1)):
        with pytest.raises(DaemonError, match="Cannot find MPS control daemon process"):
            ask()


def test_a_daemon_that_is_silent_is_given_up(
    foreign_daemon_with_silence: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = control_program()
    assert program is not None
    with pytest.raises(DaemonError, match=r"did not answer 'ps' within 0\.3 s"):
        MpsControl(program, foreign_daemon_with_silence, 0.3).clients()


@pytest.fixture
def foreign_daemon_with_silence(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    use_fakes(monkeypatch, "silent")
    pipe_dir: Path = request.getfixturevalue("foreign_daemon")
    return pipe_dir


def test_a_refusal_says_what_was_said(monkeypatch: pytest.MonkeyPatch, short_dir: Path) -> None:
    use_fakes(monkeypatch, "refuse")
    with pytest.raises(DaemonError, match="refused 'get_server_list': Permission denied"):
        MpsControl(BIN / "nvidia-cuda-mps-control", short_dir, 5.0).servers()


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "cannot be run: No such file"), ("#!/bin/sh\nexit 3\n", "refused 'ps': exit code 3")],
)
def test_a_program_that_does_not_work_is_an_error(tmp_path: Path, content: str | None, reason: str) -> None:
    program = tmp_path / "program"
    if content is not None:
        program.write_text(content)
        program.chmod(0o755)
    with pytest.raises(DaemonError, match=reason):
        MpsControl(program, tmp_path, 5.0).clients()


def test_bytes_that_are_no_text_do_not_stop_the_parent(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nprintf '\\377\\376\\n476\\n'\n")
    program.chmod(0o755)
    assert MpsControl(program, tmp_path, 5.0).servers() == (476,)


def test_a_client_is_terminated_and_its_next_call_fails(
    new_daemon: NewDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_fakes(monkeypatch)
    with new_daemon() as daemon:
        monkeypatch.setenv(PIPE_DIRECTORY, str(daemon.pipe_dir))
        with Attachment() as attachment:
            (client,) = daemon.control.clients()
            attachment.check()
            with pytest.raises(DaemonError, match=f"did not terminate client {client.pid + 1}: 201"):
                daemon.control.terminate_client(client.server_pid, client.pid + 1)
            with pytest.raises(DaemonError, match=r"did not terminate client .*: Server .* not found 1"):
                daemon.control.terminate_client(client.server_pid + 1, client.pid)
            assert daemon.control.clients() == (client,)
            daemon.control.terminate_client(client.server_pid, client.pid)
            assert daemon.control.clients() == ()
            assert daemon.control.servers() == (client.server_pid,)
            with pytest.raises(RuntimeError, match="CUDA error"):
                attachment.check()


def test_without_a_daemon_nobody_can_be_terminated(gpu_uuid: str, short_dir: Path) -> None:
    program = control_program()
    assert program is not None
    with pytest.raises(DaemonError, match="refused 'terminate_client 1 2': Cannot find MPS control daemon"):
        MpsControl(program, short_dir, 5.0).terminate_client(1, 2)


ONE_AT_A_TIME = """\
#!/bin/sh
mkdir "$CUDA_MPS_PIPE_DIRECTORY/asked" || exit 1
cat
rmdir "$CUDA_MPS_PIPE_DIRECTORY/asked"
echo 476
"""


@pytest.fixture
def one_at_a_time(tmp_path: Path) -> MpsControl:
    """Make a daemon that fails when two ask at once, like the real one."""
    program = tmp_path / "program"
    program.write_text(ONE_AT_A_TIME)
    program.chmod(0o755)
    (tmp_path / "pipe").mkdir()
    return MpsControl(program, tmp_path / "pipe", 20.0)


def test_threads_ask_a_daemon_one_after_the_other(one_at_a_time: MpsControl) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: one_at_a_time.servers(), range(40)))
    assert answers == [(476,)] * 40
    assert list(one_at_a_time.pipe_dir.iterdir()) == [], "nothing is written into the directory"


def test_whoever_does_not_get_its_turn_in_time_is_told(one_at_a_time: MpsControl) -> None:
    impatient = replace(one_at_a_time, timeout_s=0.1)
    directory = os.open(one_at_a_time.pipe_dir, os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        with pytest.raises(DaemonError, match=r"busy with other questions for 0\.1 s"):
            impatient.servers()
    finally:
        os.close(directory)
    assert one_at_a_time.servers() == (476,)


def test_a_directory_that_cannot_be_looked_into_is_for_the_program_to_judge(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\necho 476\n")
    program.chmod(0o755)
    assert MpsControl(program, tmp_path / "absent", 5.0).servers() == (476,)


def test_the_program_is_asked_in_the_dialogue_known_here_and_without_the_shells_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_MPS_PROTOCOL_VERSION", "3")
    monkeypatch.setenv("CUDA_MPS_ACTIVE_THREAD_PERCENTAGE", "10")
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\nenv >{tmp_path}/seen\n")
    program.chmod(0o755)
    MpsControl(program, tmp_path, 5.0).servers()
    seen = dict(line.split("=", 1) for line in (tmp_path / "seen").read_text().splitlines() if "=" in line)
    assert {name: value for name, value in seen.items() if name.startswith("CUDA_MPS_")} == {
        "CUDA_MPS_PIPE_DIRECTORY": str(tmp_path),
        "CUDA_MPS_PROTOCOL_VERSION": "2",
    }
