"""The pool with real worker processes."""

import errno
import os
import signal
import struct
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from mps_experiments.errors import WorkerError
from mps_experiments.workers import worker as worker_module
from mps_experiments.workers.child import WorkerSpec
from mps_experiments.workers.context import process_context
from mps_experiments.workers.messages import Compute, Computed, Traced
from mps_experiments.workers.pool import WorkerPool
from tests.fakes.plans import is_running, wait_until
from tests.workers.conftest import DEADLINE_S, READY_S, Context, MakeSpecs, ignore, measure, pool_of, started

MANY = 100_000  # iterations; more than any test waits for


def no_such_call(*_: object) -> int:
    """Answer as a kernel before 5.3 or some sandboxes do."""
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


def all_gone(*pools: WorkerPool) -> bool:
    return not any(psutil.pid_exists(pid) for pool in pools for pid in pool.pids)


@pytest.mark.parametrize("start_method", ["forkserver", "spawn"])
def test_workers_get_ready_run_and_leave_their_samples(make_specs: MakeSpecs, start_method: str) -> None:
    ticks: list[int] = []
    with pool_of(process_context(start_method), make_specs("small", 2, iterations=20)) as pool:
        pool.wait_ready(READY_S)
        assert [worker.samples() for worker in pool.workers] == [None, None]
        start_ns = pool.release()
        pool.wait_done(DEADLINE_S, 0.01, ticks.append)
    for worker in pool.workers:
        samples = worker.samples()
        assert samples is not None
        assert (samples.rank, len(samples.latencies_ns), samples.kept_ns) == (worker.spec.rank, 20, ())
        assert samples.start_ns >= start_ns
        assert min(samples.latencies_ns) > 0
        assert worker.ready is not None
        assert worker.ready.facts.output_shape == "(2, 3)"
        assert list(worker.ready.facts.phases_s) == ["import", "context", "load", "warmup"]
        assert worker.done is not None
        assert worker.done.peak_rss_bytes > 10**7
        assert (worker.done.measured, worker.done.beyond) == (20, 0)
        assert (worker.done.core_speed_per_us or 0) > 0
        assert worker.process.exitcode == 0
    assert ticks == sorted(ticks)


def test_a_worker_runs_on_its_core_and_prints_to_its_log(
    forkserver: Context, make_specs: MakeSpecs, tmp_path: Path
) -> None:
    core = max(os.sched_getaffinity(0))
    with pool_of(forkserver, make_specs("fails")) as pool, pytest.raises(WorkerError) as caught:
        pool.wait_ready(READY_S)
    assert str(caught.value) == "worker 0 failed (load): RuntimeError: no such checkpoint"
    assert "tiny_workload.py" in caught.value.traceback
    log = (tmp_path / "worker-0.log").read_text()
    assert "about to fail" in log
    assert "RuntimeError: no such checkpoint" in log

    with pool_of(forkserver, make_specs("small", cpu_cores=(core,))) as pool:
        pool.wait_ready(READY_S)
        assert psutil.Process(pool.pids[0]).cpu_affinity() == [core]
        ready = pool.workers[0].ready
        assert ready is not None
        assert ready.facts.cpu_cores == (core,)


def test_samples_survive_a_worker_that_is_killed(forkserver: Context, make_specs: MakeSpecs) -> None:
    with pool_of(forkserver, make_specs("slow", 2, iterations=MANY)) as pool:
        started(pool)
        wait_until(lambda: pool.workers[1].finished_iterations() >= 3, "it has begun", DEADLINE_S)
        os.kill(pool.pids[1], signal.SIGKILL)
        with pytest.raises(WorkerError, match="worker 1 was killed by SIGKILL"):
            pool.wait_done(DEADLINE_S, 0.01, ignore)
    samples = pool.workers[1].samples()
    assert samples is not None
    assert len(samples.latencies_ns) >= 3
    assert all(worker.process.exitcode == -signal.SIGKILL for worker in pool.workers)


def shouted(data: bytes, leaves: bool) -> dict[str, Any]:
    return {"data": data.hex(), "leaves": leaves}


@pytest.mark.parametrize(
    ("function", "options", "timeout_s", "reason"),
    [
        ("hangs_in_loading", {}, 0.2, "was not ready within 0.2 s"),
        ("exits", {}, READY_S, "exited with code 7 without a word"),
        # What is no message ends the run, too, in bounded time.
        ("shouts", shouted(b"\0\0\0\x02{}", False), READY_S, "sent an invalid message"),
        ("shouts", shouted(b"\0\0\0\x40half of it", False), READY_S, "sent only part of a message"),
        ("shouts", shouted(struct.pack("!iQ", -1, 2**60), False), READY_S, "a message of -1 bytes"),
        ("shouts", shouted(b"GET / HTTP/1.1", False), READY_S, "a message of 1195725856 bytes"),
        ("shouts", shouted(b"\0\0\0\x40half of it", True), READY_S, "exited with code 0 without a word"),
    ],
)
def test_a_worker_that_does_not_get_ready_ends_the_run(
    forkserver: Context,
    make_specs: MakeSpecs,
    function: str,
    options: dict[str, Any],
    timeout_s: float,
    reason: str,
) -> None:
    pool = pool_of(forkserver, make_specs(function, options=options))
    with pool, pytest.raises(WorkerError) as caught:
        pool.wait_ready(timeout_s)
    assert caught.value.rank == 0
    assert reason in caught.value.reason
    assert pool.workers[0].process.exitcode is not None


@pytest.mark.parametrize(
    ("function", "timeout_s", "reason"),
    [
        ("hangs_at", 2.0, "hangs: no iteration finished for 2 s, 3 of 5 done"),
        ("fails_at", DEADLINE_S, "failed (measured window): ValueError: bad number"),
        ("exits_at", DEADLINE_S, "exited with code 7 without a word"),
    ],
)
def test_a_worker_that_ends_within_the_window_keeps_what_was_measured(
    forkserver: Context, make_specs: MakeSpecs, function: str, timeout_s: float, reason: str
) -> None:
    with pool_of(forkserver, make_specs(function, options={"calls": 4})) as pool:
        started(pool)
        with pytest.raises(WorkerError) as caught:
            pool.wait_done(timeout_s, 0.01, ignore)
    assert caught.value.reason == reason
    assert pool.workers[0].finished_iterations() == 3, "the fourth call was the warm-up"


def test_ctrl_c_does_not_end_a_worker(forkserver: Context, make_specs: MakeSpecs) -> None:
    with pool_of(forkserver, make_specs("slow", iterations=20)) as pool:
        pool.wait_ready(READY_S)
        os.kill(pool.pids[0], signal.SIGINT)
        pool.release()
        os.kill(pool.pids[0], signal.SIGINT)
        pool.wait_done(DEADLINE_S, 0.01, ignore)
        assert pool.workers[0].finished_iterations() == 20


@pytest.mark.parametrize("kernel", ["new", "old"])
def test_leaving_the_block_ends_workers_in_every_state(
    forkserver: Context, make_specs: MakeSpecs, monkeypatch: pytest.MonkeyPatch, kernel: str
) -> None:
    if kernel == "old":
        monkeypatch.setattr(os, "pidfd_open", no_such_call)
    with pool_of(forkserver, make_specs("slow", 2, iterations=MANY)) as busy:
        started(busy)
        wait_until(lambda: all(worker.finished_iterations() for worker in busy.workers), "all have begun")
        with pool_of(forkserver, make_specs("hangs_in_loading")) as loading:
            pass
    assert all_gone(busy, loading)


def test_workers_are_ended_without_the_fork_server_too(forkserver: Context, make_specs: MakeSpecs) -> None:
    with pool_of(forkserver, make_specs("slow", 2, iterations=MANY)) as pool:
        started(pool)
        keepers = [psutil.Process(pid).parent() for pid in pool.pids]
        server = keepers[0].parent() if keepers[0] else None
        assert server is not None
        server.kill()  # the next start has a new one
        wait_until(lambda: not is_running(server), "the fork server is gone")
        assert all(map(psutil.pid_exists, pool.pids))
        assert all(worker.process.exitcode is not None for worker in pool.workers), "it lost sight of them"
    assert all_gone(pool)
    assert not any(keeper is None or is_running(keeper) for keeper in keepers)


def test_many_pools_leave_no_open_file(forkserver: Context, make_specs: MakeSpecs) -> None:
    def run() -> None:
        with pool_of(forkserver, make_specs("small")) as pool:
            measure(pool)

    run()
    before = psutil.Process().num_fds()
    for _ in range(5):
        run()
    assert psutil.Process().num_fds() <= before


def test_a_worker_that_hangs_up_and_lives_on_is_not_waited_for_without_end(
    forkserver: Context, make_specs: MakeSpecs, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pool_of(forkserver, make_specs("hangs_up")) as pool, monkeypatch.context() as patch:
        patch.setattr(worker_module, "_KILL_TIMEOUT_S", 0.1)
        with pytest.raises(WorkerError, match="worker 0 closed its channel but is still alive"):
            pool.wait_ready(READY_S)
    assert all_gone(pool)


# Questions after the window


def test_answers_come_by_rank_also_of_some_while_others_are_gone(
    forkserver: Context, make_specs: MakeSpecs
) -> None:
    with pool_of(forkserver, make_specs("its_pid", 3)) as pool:
        measure(pool)
        for asked in (pool.workers, [pool.workers[2], pool.workers[0]]):
            answers = pool.ask([Compute()] * len(asked), Computed, DEADLINE_S, asked)
            assert [answer.output[0].values for answer in answers if answer.output] == [
                (float(worker.pid),) for worker in asked
            ]
            if asked is pool.workers:
                os.kill(pool.pids[1], signal.SIGKILL)
        with pytest.raises(WorkerError, match="worker 1 was killed by SIGKILL"):
            pool.ask([Compute()], Computed, DEADLINE_S, [pool.workers[1]])
    assert [worker.process.exitcode for worker in pool.workers] == [0, -signal.SIGKILL, 0]


def test_a_worker_that_dies_instead_of_answering_is_told(forkserver: Context, make_specs: MakeSpecs) -> None:
    exits = [replace(spec, rank=1) for spec in make_specs("exits_at", options={"calls": 6})]
    with pool_of(forkserver, [*make_specs("small"), *exits]) as pool:
        measure(pool)
        for _ in range(2):  # nor can it be asked again
            with pytest.raises(WorkerError, match="worker 1 exited with code 7 without a word"):
                pool.ask([Compute()] * 2, Computed, DEADLINE_S)


def test_workers_that_are_dismissed_leave_by_themselves(forkserver: Context, make_specs: MakeSpecs) -> None:
    with pool_of(forkserver, make_specs("small", 2)) as pool:
        measure(pool)
        pool.dismiss()
        wait_until(lambda: all_gone(pool), "all have left")
        pool.dismiss()
        with pytest.raises(WorkerError, match="worker 0 exited with code 0 without a word"):
            pool.ask([Compute()] * 2, Computed, DEADLINE_S)
    assert [worker.process.exitcode for worker in pool.workers] == [0, 0]


def test_an_answer_of_another_kind_is_refused(forkserver: Context, make_specs: MakeSpecs) -> None:
    with pool_of(forkserver, make_specs("small")) as pool:
        measure(pool)
        with pytest.raises(WorkerError, match="worker 0 answered Computed, not Traced"):
            pool.ask([Compute()], Traced, DEADLINE_S)


def test_a_worker_that_does_not_answer_in_time_is_given_up_and_ended_at_once(
    forkserver: Context, make_specs: MakeSpecs
) -> None:
    with pool_of(forkserver, make_specs("hangs_at", options={"calls": 6})) as pool:
        pool.stop_timeout_s = 3600.0  # which it is not given, since it reads no order to exit
        measure(pool)
        with pytest.raises(WorkerError, match=r"worker 0 did not answer within 0.3 s"):
            pool.ask([Compute()], Computed, 0.3)
    assert all_gone(pool)


# Listening, as trials of faults do


def test_whoever_listens_hears_of_each_end_and_can_go_on(forkserver: Context, make_specs: MakeSpecs) -> None:
    functions = ("exits_at", "fails_at", "slow")
    specs = [replace(make_specs(name, options={"calls": 3})[0], rank=n) for n, name in enumerate(functions)]
    with pool_of(forkserver, specs) as pool:
        started(pool)
        heard: list[WorkerError] = []
        deadline = time.monotonic() + DEADLINE_S
        while waiting := [worker for worker in pool.workers if worker.ended is None and worker.done is None]:
            assert time.monotonic() < deadline
            heard += pool.listen(waiting, 1.0)
    exited, failed, finished = pool.workers
    assert {error.rank: error for error in heard} == {0: exited.ended, 1: failed.ended}
    assert str(exited.ended) == "worker 0 exited with code 7 without a word"
    assert "ValueError: bad number" in str(failed.ended)
    assert (exited.ended_ns > 0, failed.ended_ns > 0) == (True, True)
    assert (finished.ended, finished.ended_ns, finished.finished_iterations()) == (None, 0, 5)
    assert finished.done is not None


def test_only_those_who_are_listened_to_are_heard_but_of_these_all(
    forkserver: Context, make_specs: MakeSpecs
) -> None:
    with pool_of(forkserver, make_specs("slow", 3, iterations=MANY)) as pool:
        started(pool)
        for pid in pool.pids[:2]:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not any(map(psutil.pid_exists, pool.pids[:2])), "both are gone")
        assert pool.listen(pool.workers[2:], 0.0) == []
        assert pool.workers[0].ended is None
        assert sorted(map(str, pool.listen(pool.workers, DEADLINE_S))) == [
            "worker 0 was killed by SIGKILL",
            "worker 1 was killed by SIGKILL",
        ]
        assert pool.workers[2].ended is None


# Load that is kept up


def fast_and_slow(make_specs: MakeSpecs, **values: Any) -> list[WorkerSpec]:
    """Make two specs; rank 0 is done long before rank 1 and keeps up the load."""
    fast, slow = (
        make_specs("slow", kept=True, options={"seconds": seconds}, **values)[0] for seconds in (0.001, 0.02)
    )
    return [fast, replace(slow, rank=1)]


def has_kept(pool: WorkerPool, rank: int) -> bool:
    samples = pool.workers[rank].samples()
    return samples is not None and len(samples.kept_ns) > 0


def gated(make_specs: MakeSpecs, gate: Path, opening: int, seconds: float, **values: Any) -> list[WorkerSpec]:
    """Make two specs; rank 1 is not done with its last iteration before rank 0 opens the gate.

    Args:
        make_specs: Makes them.
        gate: A file that is not there yet.
        opening: The call of rank 0, the warm-up included, that opens it.
        seconds: What rank 0 takes for each call.
        values: For both specs.
    """
    options = {"gate": str(gate), "opening": opening, "seconds": seconds, "waiting": 5}
    opens, waits = (
        make_specs(name, kept=True, options=options, **values)[0] for name in ("opens_gate", "waits_at_gate")
    )
    return [opens, replace(waits, rank=1)]


def test_whoever_is_done_keeps_up_the_load_until_all_are(
    forkserver: Context, make_specs: MakeSpecs, tmp_path: Path
) -> None:
    told: list[tuple[int, int, str]] = []

    def tell(rank: int, pid: int, message: Any) -> None:
        assert pid == pool.pids[rank]
        told.append((rank, message.iteration, message.shape))

    specs = gated(make_specs, tmp_path / "gate", opening=1 + 5 + 6, seconds=0.001, verbose=True)
    with WorkerPool(forkserver, specs, 5.0, tell) as pool:
        measure(pool)
        fast, slow = (worker.samples() for worker in pool.workers)
    assert fast is not None
    assert slow is not None
    assert (len(fast.latencies_ns), len(slow.latencies_ns)) == (5, 5)
    assert len(fast.kept_ns) >= 6, "it went on while the other one was in its last iteration"
    assert slow.kept_ns == ()
    assert (fast.beyond, slow.beyond) == (0, 0)
    own = [(rank, iteration, "(1,)") for rank in (0, 1) for iteration in range(1, 6)]
    assert sorted(told) == own, "a verbose worker tells of its own forwards only"


def test_what_has_no_room_in_shared_memory_is_counted(
    forkserver: Context, make_specs: MakeSpecs, tmp_path: Path
) -> None:
    room = 5 + 4096
    with pool_of(forkserver, gated(make_specs, tmp_path / "gate", opening=1 + room + 3, seconds=0.0)) as pool:
        measure(pool)
        fast = pool.workers[0].samples()
        assert len(pool.workers[0].boundaries_ns) == pool.workers[0].spec.room + 1 == room + 1
    assert fast is not None
    assert (len(fast.latencies_ns), len(fast.kept_ns)) == (5, 4096)
    assert fast.beyond >= 2
    after_room_ns = time.monotonic_ns() - (fast.end_ns + sum(fast.kept_ns))
    assert fast.beyond * min(fast.kept_ns) / 10 < fast.beyond_ns < after_room_ns


def test_a_window_of_seconds_measures_what_it_holds(forkserver: Context, make_specs: MakeSpecs) -> None:
    specs = make_specs("slow", 2, iterations=None, seconds=0.3, kept=True, options={"seconds": 0.01})
    with pool_of(forkserver, specs) as pool:
        end_ns = started(pool) + 300_000_000
        pool.wait_done(DEADLINE_S, 0.01, ignore)
        found = [worker.samples() for worker in pool.workers]
        assert [worker.done.measured for worker in pool.workers if worker.done] == [
            len(samples.latencies_ns) for samples in found if samples
        ]
    for samples in found:
        assert samples is not None
        assert samples.end_ns - samples.latencies_ns[-1] < end_ns <= samples.end_ns


@pytest.mark.parametrize("rank", [0, 1])
def test_a_worker_that_dies_while_the_load_is_kept_up_is_found(
    forkserver: Context, make_specs: MakeSpecs, rank: int
) -> None:
    specs = fast_and_slow(make_specs)
    specs[1] = replace(specs[1], iterations=MANY)
    with pool_of(forkserver, specs) as pool:
        started(pool)
        wait_until(lambda: has_kept(pool, 0), "the load is kept up")
        os.kill(pool.pids[rank], signal.SIGKILL)
        with pytest.raises(WorkerError, match=f"worker {rank} was killed by SIGKILL"):
            pool.wait_done(DEADLINE_S, 0.01, ignore)
    assert all_gone(pool), "nor does the other one go on for ever"


def test_a_worker_that_hangs_while_others_keep_up_the_load_is_given_up(
    forkserver: Context, make_specs: MakeSpecs
) -> None:
    """The load that is kept up is no progress."""
    hanging = replace(make_specs("hangs_at", kept=True, options={"calls": 3})[0], rank=1)
    with pool_of(forkserver, [fast_and_slow(make_specs)[0], hanging]) as pool:
        started(pool)
        with pytest.raises(WorkerError, match=r"worker 1 hangs: no iteration finished for 1 s, 2 of 5 done"):
            pool.wait_done(1.0, 0.01, ignore)
        assert has_kept(pool, 0)
    assert all_gone(pool)
