"""What a daemon says of its servers while somebody watches."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mps_experiments.mps.control import PIPE_DIRECTORY, MpsControl, control_program
from mps_experiments.mps.daemon import DaemonTimeouts, MpsDaemon
from mps_experiments.mps.processes import kill_servers_of
from mps_experiments.run.server_watch import ServerWatch
from tests.fakes.client import Attachment
from tests.fakes.plans import FAKE_GPU, short_folder, use_fakes, wait_until


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MpsDaemon]:
    """Yield a stand-in; every client of this process attaches to it."""
    use_fakes(monkeypatch)
    program = control_program()
    assert program is not None
    timeouts = DaemonTimeouts(start_s=10.0, command_s=5.0, quit_s=3.0)
    logs = {"control_log": tmp_path / "control.log", "server_log": tmp_path / "server.log"}
    with short_folder() as folder:
        new = MpsDaemon(program=program, folder=folder, gpu_uuid=FAKE_GPU.uuid, timeouts=timeouts, **logs)
        with new as started:
            monkeypatch.setenv(PIPE_DIRECTORY, str(started.pipe_dir))
            yield started


def words(watch: ServerWatch) -> list[str]:
    return [state.in_words for state in watch.states]


def test_each_change_is_kept_once_with_its_time(daemon: MpsDaemon) -> None:
    with ServerWatch(daemon.control) as watch:
        wait_until(lambda: words(watch) == ["no server"], "it has looked")
        with Attachment():
            wait_until(lambda: words(watch)[-1] == "ACTIVE", "it has seen the server")
            (first,) = kill_servers_of(daemon.pipe_dir)
            wait_until(lambda: words(watch)[-1] == "no server", "it has seen that it is gone")
        with Attachment():
            wait_until(lambda: words(watch)[-1] == "ACTIVE", "it has seen the new one")
            daemon.kill()
            wait_until(lambda: words(watch)[-1] == "no daemon", "it has seen that the daemon is gone")
    assert words(watch) == ["no server", "ACTIVE", "no server", "ACTIVE", "no daemon"]
    servers = [set(state.servers) for state in watch.states]
    assert servers[1] == {first}
    assert len(servers[3] - {first}) == 1
    times = [state.at_ns for state in watch.states]
    assert times == sorted(set(times))
    assert "Cannot find MPS control daemon" in str(watch.states[-1].no_answer)


def test_another_server_in_the_same_state_is_a_change(daemon: MpsDaemon) -> None:
    """Between two looks one server may go and the next come."""
    answers = [(8,), (8,), (7,), (7,)]

    class Quick(MpsControl):
        """Tells of one server, then of another, both ACTIVE."""

        def servers(self) -> tuple[int, ...]:
            return answers.pop() if len(answers) > 1 else answers[0]

        def server_status(self, server_pid: int) -> str:
            return "ACTIVE" if server_pid in (7, 8) else "unknown"

    with ServerWatch(Quick(daemon.control.program, daemon.pipe_dir, 5.0)) as watch:
        wait_until(lambda: len(watch.states) == 2, "it has seen the other one")
    assert [state.servers for state in watch.states] == [{7: "ACTIVE"}, {8: "ACTIVE"}]


def test_without_a_daemon_of_ours_nothing_is_watched() -> None:
    before = threading.active_count()
    with ServerWatch(None) as watch:
        assert threading.active_count() == before
    assert watch.states == ()


def test_leaving_the_block_ends_the_watch(daemon: MpsDaemon) -> None:
    with ServerWatch(daemon.control) as watch:
        wait_until(lambda: watch.states, "it has looked")
    assert "MPS server state" not in {thread.name for thread in threading.enumerate()}


def test_looking_closely_is_without_long_pauses(daemon: MpsDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    watch = ServerWatch(daemon.control)
    wait = watch._stop.wait

    def noted(timeout: float | None = None) -> bool:
        pauses.append(timeout or 0.0)
        return wait(timeout)

    monkeypatch.setattr(watch._stop, "wait", noted)
    with watch:
        wait_until(lambda: len(pauses) > 1, "it has looked")
        calm = max(pauses)
        watch.look_closely()
        wait_until(lambda: pauses[-1] < calm, "it looks more often")
