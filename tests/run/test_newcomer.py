"""Clients that come after a fault, as real processes."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from mps_experiments.record.faults import Newcomer
from mps_experiments.record.proof import Observation
from mps_experiments.run.newcomer import NewcomerDesk
from mps_experiments.workers.child import WorkerSpec
from mps_experiments.workers.context import process_context
from mps_experiments.workers.pool import WorkerPool
from tests.fakes.plans import attaching, wait_until

DEADLINE_S = 60.0
NewPool = Callable[[], WorkerPool]


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
def open_desk(
    door: NewPool, timeout_s: float = DEADLINE_S, seen: Observation | None = None
) -> Iterator[NewcomerDesk]:
    with NewcomerDesk(door, lambda: seen or sees(), timeout_s) as desk:
        yield desk


def newcomer_of(door: Door, timeout_s: float = DEADLINE_S) -> Newcomer:
    with open_desk(door, timeout_s) as desk:
        desk.open()
        desk.wait()
    assert desk.newcomer is not None
    assert not any(map(psutil.pid_exists, door.pids))
    return desk.newcomer


def test_a_newcomer_is_served_and_does_one_forward(tmp_path: Path) -> None:
    found = newcomer_of(door := Door(tmp_path / "log", {}))
    assert found.served_ns is not None
    assert found.result_ns is not None
    assert found.asked_ns < found.served_ns < found.result_ns < found.left_ns
    assert found.start_s is not None
    assert 0 < found.start_s <= (found.served_ns - found.asked_ns) / 1e9
    assert found.failures == ()
    (worker,) = door.pools[0].workers
    assert worker.finished_iterations() == 1


@pytest.mark.parametrize("attached", [True, False])
def test_a_newcomer_is_attached_if_it_was_seen_in_the_client_list_when_it_was_served(
    tmp_path: Path, attached: bool
) -> None:
    door = Door(tmp_path / "log", {})

    def observe() -> Observation:
        (worker,) = door.pools[0].workers
        assert worker.ready is not None
        return sees(worker.pid, 1) if attached else sees(1)

    with NewcomerDesk(door, observe, DEADLINE_S) as desk:
        desk.open()
        desk.wait()
    assert desk.newcomer is not None
    assert desk.newcomer.attached is attached


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


def test_newcomers_keep_coming_until_the_time_is_up(tmp_path: Path) -> None:
    door = Door(tmp_path / "log", {"refuse_if": "/"})
    found = newcomer_of(door, timeout_s=2.0)
    assert len(found.failures) == len(door.pools) >= 2
    assert (found.served_ns, found.result_ns, found.start_s, found.attached) == (None, None, None, None)
    assert found.left_ns > found.asked_ns


def test_a_newcomer_that_waits_for_ever_is_given_up_when_the_time_is_up(tmp_path: Path) -> None:
    found = newcomer_of(Door(tmp_path / "log", {"never_ready": True}), timeout_s=0.5)
    (failure,) = found.failures
    assert failure.startswith("was not ready within 0.")
    assert found.served_ns is None


def test_whoever_never_asks_is_nobody(tmp_path: Path) -> None:
    with open_desk(door := Door(tmp_path / "log", {})) as desk:
        pass
    assert desk.newcomer is None
    assert door.pools == []


def test_opening_twice_sends_one(tmp_path: Path) -> None:
    with open_desk(door := Door(tmp_path / "log", {})) as desk:
        desk.open()
        desk.open()
        desk.wait()
    assert len(door.pools) == 1


def test_leaving_the_block_ends_a_newcomer_that_is_on_its_way(tmp_path: Path) -> None:
    door = Door(tmp_path / "log", {"never_ready": True})
    with open_desk(door) as desk:
        desk.open()
        wait_until(lambda: door.pids, "it is on its way")
    assert not any(map(psutil.pid_exists, door.pids))
    assert len(door.pools) == 1
    assert desk.newcomer is not None
    assert desk.newcomer.failures == ("was killed by SIGKILL",)


def test_a_newcomer_that_sets_out_while_the_block_is_left_does_not_stay(tmp_path: Path) -> None:
    door = Door(tmp_path / "log", {"never_ready": True})
    asked, closing = threading.Event(), threading.Event()

    def late() -> WorkerPool:
        asked.set()
        assert closing.wait(DEADLINE_S)
        return door()

    class Closing(NewcomerDesk):
        """Lets the newcomer go on its way once nobody is there any more who would end it."""

        def __exit__(self, *_: object) -> None:
            threading.Thread(target=self._pass_on).start()
            super().__exit__()

        def _pass_on(self) -> None:
            if self._closing.wait(DEADLINE_S):
                closing.set()

    with Closing(late, sees, DEADLINE_S) as desk:
        desk.open()
        assert asked.wait(DEADLINE_S)
    assert desk.newcomer is not None
    assert desk.newcomer.failures == ("the trial is over",)
    assert not any(map(psutil.pid_exists, door.pids))
