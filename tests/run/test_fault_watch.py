"""What is watched after a fault: the servers' state, new clients as real processes, device memory."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from mps_experiments.machine.gpus import FixedProbe
from mps_experiments.mps.control import PIPE_DIRECTORY, MpsControl, control_program
from mps_experiments.mps.daemon import DaemonTimeouts, MpsDaemon
from mps_experiments.mps.processes import kill_servers_of
from mps_experiments.record.faults import DeviceMemory, Newcomer
from mps_experiments.record.proof import Observation
from mps_experiments.run import fault_watch
from mps_experiments.run.fault_watch import NewClients, ServerWatch, watching_memory
from mps_experiments.run.run_state import RunState
from mps_experiments.workers.child import WorkerSpec
from mps_experiments.workers.context import process_context
from mps_experiments.workers.pool import WorkerPool
from tests.fakes.client import Attachment
from tests.fakes.plans import FAKE_GPU, attaching, short_folder, use_fakes, wait_until
from tests.fault_records import make_trial

DEADLINE_S = 60.0


# The servers' state


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
    assert "MPS server state" not in {thread.name for thread in threading.enumerate()}
    assert words(watch) == ["no server", "ACTIVE", "no server", "ACTIVE", "no daemon"]
    servers = [set(state.servers) for state in watch.states]
    assert servers[1] == {first}
    assert len(servers[3] - {first}) == 1
    times = [state.at_ns for state in watch.states]
    assert times == sorted(set(times))
    assert "Cannot find MPS control daemon" in str(watch.states[-1].no_answer)


class Scripted(MpsControl):
    """Tells of one server, then of another, both ACTIVE; between two looks one may go and the next come."""

    def __init__(self) -> None:
        super().__init__(Path("/nowhere"), Path("/nowhere"), 5.0)
        self.answers = [8, 8, 7, 7]

    def server_states(self) -> dict[int, str]:
        return {self.answers.pop() if len(self.answers) > 1 else self.answers[0]: "ACTIVE"}


def test_another_server_in_the_same_state_is_a_change() -> None:
    with ServerWatch(Scripted()) as watch:
        wait_until(lambda: len(watch.states) == 2, "it has seen the other one")
    assert [state.servers for state in watch.states] == [{7: "ACTIVE"}, {8: "ACTIVE"}]


def test_without_a_daemon_of_ours_nothing_is_watched() -> None:
    before = threading.active_count()
    with ServerWatch(None) as watch:
        assert threading.active_count() == before
    assert watch.states == []


def test_looking_closely_is_without_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    watch = ServerWatch(Scripted())
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


# New clients


class Door:
    """Makes pools of one worker each, with these options of the workload in turn; the last one stays."""

    def __init__(self, log: Path, *options: dict[str, Any]) -> None:
        self.log, self.options = log, list(options)
        self.context = process_context("forkserver")
        self.pools: list[WorkerPool] = []

    def __call__(self) -> WorkerPool:
        options = self.options.pop(0) if len(self.options) > 1 else self.options[0]
        spec = WorkerSpec(
            rank=2,
            device="cpu",
            workload=attaching(**options),
            iterations=1,
            warmup_iterations=0,
            cpu_cores=(),
            environment={"CUDA_MPS_PIPE_DIRECTORY": "/nowhere"},
            verbose=False,
            log_path=str(self.log),
            go_timeout_s=DEADLINE_S,
        )
        self.pools.append(WorkerPool(self.context, [spec], 5.0, lambda *_: None))
        return self.pools[-1]

    @property
    def pids(self) -> list[int]:
        return [worker.pid for pool in self.pools for worker in pool.workers]


def sees(*pids: int) -> Observation:
    return Observation(
        from_ns=0,
        to_ns=1,
        server_status={},
        client_pids=pids,
        nvml_mps_pids=None,
        foreign_daemons=(),
    )


@contextmanager
def coming(
    door: Door, timeout_s: float = DEADLINE_S, observe: Callable[[], Observation] = sees
) -> Iterator[NewClients]:
    """Yield clients that have not been sent yet; none is left afterwards."""
    with NewClients(door, observe, timeout_s) as clients:
        yield clients
    assert not any(map(psutil.pid_exists, door.pids))


def newcomer_of(
    door: Door, timeout_s: float = DEADLINE_S, observe: Callable[[], Observation] = sees
) -> Newcomer:
    with coming(door, timeout_s, observe) as clients:
        clients.send()
        clients.send()  # again, which sends no second one
        clients.wait()
    assert clients.newcomer is not None
    return clients.newcomer


@pytest.mark.parametrize("attached", [True, False])
def test_a_new_client_is_served_and_is_attached_if_it_was_seen_in_the_client_list(
    tmp_path: Path, attached: bool
) -> None:
    door = Door(tmp_path / "log", {})
    found = newcomer_of(door, observe=lambda: sees(1, *(door.pids if attached else [])))
    assert found.served_ns is not None
    assert found.result_ns is not None
    assert found.asked_ns < found.served_ns < found.result_ns < found.left_ns
    assert found.start_s is not None
    assert 0 < found.start_s <= (found.served_ns - found.asked_ns) / 1e9
    assert (found.failures, found.attached) == ((), attached)
    assert [worker.finished_iterations() for pool in door.pools for worker in pool.workers] == [1]


def test_after_one_that_is_refused_another_comes(tmp_path: Path) -> None:
    door = Door(tmp_path / "log", {"refuse_if": "/"}, {"raise_at": 1}, {})
    found = newcomer_of(door)
    assert [failure.partition(":")[0] for failure in found.failures] == [
        "failed (load)",
        "failed (measured window)",
    ]
    assert len(door.pools) == 3
    assert found.served_ns is not None
    assert found.start_s is not None
    assert found.start_s < (found.served_ns - found.asked_ns) / 1e9, "it began after the others"


def test_new_clients_keep_coming_until_the_time_is_up(tmp_path: Path) -> None:
    for timeout_s in (2.0, 8.0, 32.0):  # a busy machine may take longer for two
        door = Door(tmp_path / "log", {"refuse_if": "/"})
        found = newcomer_of(door, timeout_s)
        if len(door.pools) >= 2:
            break
    assert len(found.failures) == len(door.pools) >= 2
    assert (found.served_ns, found.result_ns, found.start_s, found.attached) == (None, None, None, None)
    assert found.left_ns > found.asked_ns


def test_a_new_client_that_waits_for_ever_is_given_up_when_the_time_is_up(tmp_path: Path) -> None:
    found = newcomer_of(Door(tmp_path / "log", {"never_ready": True}), timeout_s=0.5)
    (failure,) = found.failures
    assert failure.startswith("was not ready within 0.")
    assert found.served_ns is None


def test_whoever_is_not_sent_is_nobody(tmp_path: Path) -> None:
    with coming(door := Door(tmp_path / "log", {})) as clients:
        pass
    assert (clients.newcomer, door.pools) == (None, [])


def test_leaving_the_block_ends_a_new_client_that_is_on_its_way(tmp_path: Path) -> None:
    door = Door(tmp_path / "log", {"never_ready": True})
    with coming(door) as clients:
        clients.send()
        wait_until(lambda: door.pids, "it is on its way")
    assert len(door.pools) == 1
    assert clients.newcomer is not None
    assert clients.newcomer.failures == ("the trial is over",)


def test_a_new_client_that_sets_out_while_the_block_is_left_does_not_stay(tmp_path: Path) -> None:
    door = Door(tmp_path / "log", {"never_ready": True})
    asked = threading.Event()

    def late() -> WorkerPool:
        """Set out once nobody is there any more who would end it."""
        asked.set()
        assert clients._closing.wait(DEADLINE_S)
        return door()

    with NewClients(late, sees, DEADLINE_S) as clients:
        clients.send()
        assert asked.wait(DEADLINE_S)
    assert clients.newcomer is not None
    assert clients.newcomer.failures == ("the trial is over",)
    assert not any(map(psutil.pid_exists, door.pids))


# Device memory


class Readings(FixedProbe):
    """Memory in use, one value for each reading; the last stays."""

    def __init__(self, *values: int | None) -> None:
        super().__init__((FAKE_GPU,))
        self.values, self.asked = list(values), 0

    def memory_used_bytes(self, uuid: str) -> int | None:
        assert uuid == FAKE_GPU.uuid
        self.asked += 1
        return self.values.pop(0) if len(self.values) > 1 else self.values[0]


def watched(
    probe: Readings, with_trial: bool = True, uuid: str | None = FAKE_GPU.uuid, gone: bool = True
) -> RunState:
    """Run a trial whose workers are gone before the block is left."""
    state = RunState(on_phase=lambda _: None)
    with watching_memory(probe, uuid, state) as note_workers_gone:
        state.fault = make_trial() if with_trial else None
        if gone:
            note_workers_gone()
    return state


@pytest.mark.parametrize(
    ("values", "end"),
    [
        ((7, 9, 7), 7),
        ((7, 9, 9, 8, 6), 6),  # given back a moment later
        ((7, 9, 8), 8),  # never given back
        ((None,), None),
        ((7, None), None),
        ((7, 9, None), None),
        ((7, 9, 9, None), None),
    ],
)
def test_memory_is_read_before_when_the_workers_are_gone_and_at_the_end(
    values: tuple[int | None, ...], end: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fault_watch, "_SETTLE_S", 0.2)
    memory = DeviceMemory(before=7, workers_gone=9, end=end) if end else None
    assert watched(Readings(*values)).fault == make_trial(memory=memory)


def test_without_a_trial_nothing_is_kept_and_nobody_waits() -> None:
    probe = Readings(7, 9)
    assert watched(probe, with_trial=False).fault is None
    assert probe.asked == 2


def test_without_a_gpu_or_workers_there_is_nothing_to_tell() -> None:
    probe = Readings(7)
    assert (watched(probe, uuid=None).fault, probe.asked) == (make_trial(), 0)
    assert watched(probe, gone=False).fault == make_trial()
