"""The pool with real worker processes."""

import errno
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.context import ForkServerContext, SpawnContext
from pathlib import Path
from typing import Any

import psutil
import pytest

from mps_experiments.errors import WorkerError
from mps_experiments.record.trace_files import load_trace
from mps_experiments.record.worker import Forward
from mps_experiments.workers.child import WorkerSpec
from mps_experiments.workers.context import process_context
from mps_experiments.workers.messages import Compute, Computed, Go, Trace, Traced, Tracing
from mps_experiments.workers.placement import keep_off
from mps_experiments.workers.pool import WorkerPool
from tests.fakes.plans import is_running
from tests.workers.conftest import MakeSpecs

Context = ForkServerContext | SpawnContext
READY_S = 60.0
DEADLINE_S = 30.0


def ignore(*_: object) -> None:
    """Ignore a forward."""


def no_such_call(*_: object) -> int:
    """Answer as a kernel before 5.3 or some sandboxes do."""
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


def pool_of(context: Context, specs: list[WorkerSpec]) -> WorkerPool:
    return WorkerPool(context, specs, stop_timeout_s=5.0, on_forward=ignore)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"
        threading.Event().wait(0.005)


@pytest.mark.parametrize("start_method", ["forkserver", "spawn"])
def test_workers_get_ready_run_and_leave_their_samples(make_specs: MakeSpecs, start_method: str) -> None:
    ticks: list[int] = []
    with pool_of(process_context(start_method), make_specs("small", 2, iterations=20)) as pool:
        pool.wait_ready(READY_S)
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
        assert worker.done.core_speed_per_us is not None
        assert worker.done.core_speed_per_us > 0
        assert worker.process.exitcode == 0
    assert ticks == sorted(ticks)


def test_nobody_starts_before_everybody_is_released(forkserver: Context, make_specs: MakeSpecs) -> None:
    with pool_of(forkserver, make_specs("small", 3)) as pool:
        pool.wait_ready(READY_S)
        assert [worker.samples() for worker in pool.workers] == [None, None, None]
        start_ns = pool.release()
        pool.wait_done(DEADLINE_S, 0.01, ignore)
        starts = [samples.start_ns for worker in pool.workers if (samples := worker.samples())]
    assert len(starts) == 3
    assert min(starts) >= start_ns


def test_a_worker_runs_on_its_core_and_prints_to_its_log(
    forkserver: Context, make_specs: MakeSpecs, tmp_path: Path
) -> None:
    core = max(os.sched_getaffinity(0))
    specs = make_specs("fails", cpu_cores=(core,))
    with pool_of(forkserver, specs) as pool, pytest.raises(WorkerError):
        pool.wait_ready(READY_S)
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
    with pool_of(forkserver, make_specs("slow", 2, iterations=100_000)) as pool:
        pool.wait_ready(READY_S)
        pool.release()
        wait_until(lambda: pool.workers[1].finished_iterations() >= 3)
        os.kill(pool.pids[1], signal.SIGKILL)
        with pytest.raises(WorkerError, match="worker 1 was killed by SIGKILL"):
            pool.wait_done(DEADLINE_S, 0.01, ignore)
    samples = pool.workers[1].samples()
    assert samples is not None
    assert len(samples.latencies_ns) >= 3
    assert all(worker.process.exitcode == -signal.SIGKILL for worker in pool.workers)


def test_a_worker_that_hangs_is_given_up(forkserver: Context, make_specs: MakeSpecs) -> None:
    with pool_of(forkserver, make_specs("hangs_at", options={"calls": 3})) as pool:
        pool.wait_ready(READY_S)
        pool.release()
        with pytest.raises(WorkerError, match=r"worker 0 hangs: no iteration finished for 2 s, 2 of 5 done"):
            pool.wait_done(2.0, 0.01, ignore)


def test_a_worker_that_is_never_ready_is_given_up(forkserver: Context, make_specs: MakeSpecs) -> None:
    with (
        pool_of(forkserver, make_specs("hangs_in_loading")) as pool,
        pytest.raises(WorkerError, match=r"worker 0 was not ready within 0.2 s"),
    ):
        pool.wait_ready(0.2)


def test_a_failure_comes_with_its_phase_and_traceback(forkserver: Context, make_specs: MakeSpecs) -> None:
    with pool_of(forkserver, make_specs("fails")) as pool, pytest.raises(WorkerError) as caught:
        pool.wait_ready(READY_S)
    assert str(caught.value) == "worker 0 failed (load): RuntimeError: no such checkpoint"
    assert "tiny_workload.py" in caught.value.traceback


def test_a_failure_inside_the_window_keeps_what_was_measured(
    forkserver: Context, make_specs: MakeSpecs
) -> None:
    with pool_of(forkserver, make_specs("fails_at", options={"calls": 4})) as pool:
        pool.wait_ready(READY_S)
        pool.release()
        with pytest.raises(WorkerError, match=r"failed \(measured window\): ValueError: bad number"):
            pool.wait_done(DEADLINE_S, 0.01, ignore)
    assert pool.workers[0].finished_iterations() == 3


def test_a_worker_that_exits_without_a_word_is_told(forkserver: Context, make_specs: MakeSpecs) -> None:
    with (
        pool_of(forkserver, make_specs("exits")) as pool,
        pytest.raises(WorkerError, match="worker 0 exited with code 7 without a word"),
    ):
        pool.wait_ready(READY_S)


def test_a_verbose_worker_reports_every_forward(forkserver: Context, make_specs: MakeSpecs) -> None:
    told: list[tuple[int, int, Forward]] = []
    specs = make_specs("small", verbose=True)
    with WorkerPool(forkserver, specs, 5.0, lambda *told_now: told.append(told_now)) as pool:
        pool.wait_ready(READY_S)
        pool.release()
        pool.wait_done(DEADLINE_S, 0.01, ignore)
    assert [message.iteration for _, _, message in told] == [1, 2, 3, 4, 5]
    assert {(rank, pid, message.shape) for rank, pid, message in told} == {(0, pool.pids[0], "(2, 3)")}


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
    with pool_of(forkserver, make_specs("slow", 2, iterations=100_000)) as busy:
        busy.wait_ready(READY_S)
        busy.release()
        wait_until(lambda: all(worker.finished_iterations() for worker in busy.workers))
        with pool_of(forkserver, make_specs("hangs_in_loading")) as loading:
            pass
    assert not any(psutil.pid_exists(pid) for pid in (*busy.pids, *loading.pids))


def measure(pool: WorkerPool) -> None:
    """Run the measured window, after which workers can be asked."""
    pool.wait_ready(READY_S)
    pool.release()
    pool.wait_done(DEADLINE_S, 0.01, ignore)


def test_answers_come_by_rank(forkserver: Context, make_specs: MakeSpecs) -> None:
    with pool_of(forkserver, make_specs("its_pid", 3)) as pool:
        measure(pool)
        for _ in range(2):
            answers = pool.ask([Compute()] * 3, Computed, DEADLINE_S)
            assert [answer.output[0].values for answer in answers if answer.output] == [
                (float(pid),) for pid in pool.pids
            ]
    assert [worker.process.exitcode for worker in pool.workers] == [0, 0, 0]


def test_workers_trace_a_pass_together(forkserver: Context, make_specs: MakeSpecs, tmp_path: Path) -> None:
    orders = [Trace(iterations=2, path=str(tmp_path / f"{rank}.npz")) for rank in range(2)]
    with pool_of(forkserver, make_specs("small", 2)) as pool:
        measure(pool)
        assert pool.ask(orders, Tracing, DEADLINE_S) == [Tracing()] * 2
        go = pool.next_start()
        assert pool.ask([go] * 2, Traced, DEADLINE_S) == [Traced()] * 2
        offset_ns = time.time_ns() - time.monotonic_ns()
    traces = [load_trace(Path(order.path)) for order in orders]
    assert [(trace.rank, trace.pid, trace.iterations) for trace in traces] == [
        (rank, pid, 2) for rank, pid in enumerate(pool.pids)
    ]
    for trace in traces:
        assert trace.boundaries_ns[0] - offset_ns >= go.start_at_ns - 1_000_000
    assert [worker.process.exitcode for worker in pool.workers] == [0, 0]


def test_a_worker_that_dies_instead_of_answering_is_told(forkserver: Context, make_specs: MakeSpecs) -> None:
    with pool_of(forkserver, [*make_specs("small"), *exits_after_the_window(make_specs)]) as pool:
        measure(pool)
        with pytest.raises(WorkerError, match="worker 1 exited with code 7 without a word") as caught:
            pool.ask([Compute()] * 2, Computed, DEADLINE_S)
        assert caught.value.rank == 1
        with pytest.raises(WorkerError, match="worker 1 exited with code 7"):  # nor can it be asked again
            pool.ask([Compute()] * 2, Computed, DEADLINE_S)


def exits_after_the_window(make_specs: MakeSpecs) -> list[WorkerSpec]:
    """Make the spec of rank 1."""
    return [replace(spec, rank=1) for spec in make_specs("exits_at", options={"calls": 6})]


def test_a_worker_that_was_killed_is_told_at_the_next_question(
    forkserver: Context, make_specs: MakeSpecs
) -> None:
    with pool_of(forkserver, make_specs("small", 2)) as pool:
        measure(pool)
        os.kill(pool.pids[1], signal.SIGKILL)
        with pytest.raises(WorkerError, match="worker 1 was killed by SIGKILL"):
            pool.ask([Compute()] * 2, Computed, DEADLINE_S)


def test_workers_that_are_dismissed_leave_by_themselves(forkserver: Context, make_specs: MakeSpecs) -> None:
    with pool_of(forkserver, make_specs("small", 2)) as pool:
        measure(pool)
        pool.dismiss()
        wait_until(lambda: not any(map(psutil.pid_exists, pool.pids)))
        pool.dismiss()
        with pytest.raises(WorkerError, match="worker 0 exited with code 0 without a word"):
            pool.ask([Compute()] * 2, Computed, DEADLINE_S)
    assert [worker.process.exitcode for worker in pool.workers] == [0, 0]


def test_an_answer_of_another_kind_is_refused(forkserver: Context, make_specs: MakeSpecs) -> None:
    with pool_of(forkserver, make_specs("small", 2)) as pool:
        measure(pool)
        with pytest.raises(WorkerError, match="worker 0 answered Computed, not Traced"):
            pool.ask([Compute()] * 2, Traced, DEADLINE_S)


def test_a_worker_that_does_not_answer_in_time_is_given_up_and_ended_at_once(
    forkserver: Context, make_specs: MakeSpecs
) -> None:
    with pool_of(forkserver, make_specs("hangs_at", options={"calls": 6})) as pool:
        measure(pool)
        with pytest.raises(WorkerError, match=r"worker 0 did not answer within 0.3 s"):
            pool.ask([Compute()], Computed, 0.3)
        left = time.monotonic()
    assert time.monotonic() - left < 4.0, "it was given the 5 s to exit in which it cannot read the word"
    assert not psutil.pid_exists(pool.pids[0])


def test_a_worker_that_is_sent_off_without_a_pass_says_nothing_and_can_still_be_ended(
    forkserver: Context, make_specs: MakeSpecs
) -> None:
    with pool_of(forkserver, make_specs("small")) as pool:
        measure(pool)
        with pytest.raises(WorkerError, match="worker 0 exited with code 0 without a word"):
            pool.ask([Go(start_at_ns=0)], Traced, DEADLINE_S)


def test_whoever_listens_hears_of_each_end_and_can_go_on(forkserver: Context, make_specs: MakeSpecs) -> None:
    functions = ("exits_at", "fails_at", "slow")
    specs = [replace(make_specs(name, options={"calls": 3})[0], rank=n) for n, name in enumerate(functions)]
    with pool_of(forkserver, specs) as pool:
        pool.wait_ready(READY_S)
        pool.release()
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


def test_whoever_listens_hears_of_all_that_ended_at_once(forkserver: Context, make_specs: MakeSpecs) -> None:
    with pool_of(forkserver, make_specs("slow", 3, iterations=100_000)) as pool:
        pool.wait_ready(READY_S)
        pool.release()
        for pid in pool.pids[:2]:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not any(map(psutil.pid_exists, pool.pids[:2])))
        assert sorted(map(str, pool.listen(pool.workers, DEADLINE_S))) == [
            "worker 0 was killed by SIGKILL",
            "worker 1 was killed by SIGKILL",
        ]
        assert pool.workers[2].ended is None


def test_only_those_who_are_listened_to_are_heard(forkserver: Context, make_specs: MakeSpecs) -> None:
    with pool_of(forkserver, make_specs("slow", 2, iterations=100_000)) as pool:
        pool.wait_ready(READY_S)
        os.kill(pool.pids[0], signal.SIGKILL)
        wait_until(lambda: not psutil.pid_exists(pool.pids[0]))
        assert pool.listen(pool.workers[1:], 0.0) == []
        assert pool.workers[0].ended is None
        assert [error.rank for error in pool.listen(pool.workers, DEADLINE_S)] == [0]


def test_some_workers_can_be_asked_though_others_are_gone(forkserver: Context, make_specs: MakeSpecs) -> None:
    with pool_of(forkserver, make_specs("its_pid", 3)) as pool:
        measure(pool)
        os.kill(pool.pids[1], signal.SIGKILL)
        asked = [pool.workers[2], pool.workers[0]]
        answers = pool.ask([Compute()] * 2, Computed, DEADLINE_S, asked)
        assert [answer.output[0].values for answer in answers if answer.output] == [
            (float(worker.pid),) for worker in asked
        ]
        with pytest.raises(WorkerError, match="worker 1 was killed by SIGKILL"):
            pool.ask([Compute()], Computed, DEADLINE_S, [pool.workers[1]])


def test_many_pools_leave_no_open_file(forkserver: Context, make_specs: MakeSpecs) -> None:
    def run() -> None:
        with pool_of(forkserver, make_specs("small")) as pool:
            pool.wait_ready(READY_S)
            pool.release()
            pool.wait_done(DEADLINE_S, 0.01, ignore)

    run()
    this = psutil.Process()
    before = this.num_fds()
    for _ in range(20):
        run()
    assert this.num_fds() <= before


def test_the_parent_keeps_off_the_workers_cores_and_comes_back() -> None:
    """All of its threads do: one may be writing the files of the run before."""
    before, gate = os.sched_getaffinity(0), threading.Event()
    other = threading.Thread(target=gate.wait, args=(DEADLINE_S,))
    other.start()
    undo = keep_off([min(before)])
    later = threading.Thread(target=gate.wait, args=(DEADLINE_S,))
    later.start()
    tasks = [0, *(thread.native_id for thread in (other, later) if thread.native_id)]
    try:
        assert [os.sched_getaffinity(task) for task in tasks] == [{min(before)}] * 3
    finally:
        undo()
    assert [os.sched_getaffinity(task) for task in tasks] == [before] * 3
    gate.set()
    for thread in (other, later):
        thread.join()
    assert os.sched_getaffinity(0) == before
    keep_off([])()
    assert os.sched_getaffinity(0) == before


def test_a_worker_that_hangs_up_and_lives_on_is_waited_for_as_long_as_was_said(
    forkserver: Context, make_specs: MakeSpecs
) -> None:
    pool = pool_of(forkserver, make_specs("hangs_up"))
    pool.kill_timeout_s = 0.1
    with pool, pytest.raises(WorkerError, match="worker 0 closed its channel but is still alive"):
        pool.wait_ready(READY_S)


def fast_and_slow(make_specs: MakeSpecs, **values: Any) -> list[WorkerSpec]:
    """Make two specs; rank 0 is done long before rank 1 and keeps up the load."""
    fast, slow = (
        make_specs("slow", kept=True, options={"seconds": seconds}, **values)[0] for seconds in (0.001, 0.02)
    )
    return [fast, replace(slow, rank=1)]


def test_whoever_is_done_keeps_up_the_load_until_all_are(forkserver: Context, make_specs: MakeSpecs) -> None:
    with pool_of(forkserver, fast_and_slow(make_specs)) as pool:
        measure(pool)
        fast, slow = (worker.samples() for worker in pool.workers)
    assert fast is not None
    assert slow is not None
    assert (len(fast.latencies_ns), len(slow.latencies_ns)) == (5, 5)
    assert len(fast.kept_ns) > 5
    assert len(slow.kept_ns) <= 1
    last_ns = fast.end_ns + sum(fast.kept_ns)
    assert last_ns >= slow.end_ns
    assert last_ns - fast.kept_ns[-1] <= slow.end_ns + 50_000_000, "it stops with its next look"
    assert (fast.beyond, slow.beyond) == (0, 0)


def test_what_has_no_room_in_shared_memory_is_counted(forkserver: Context, make_specs: MakeSpecs) -> None:
    specs = make_specs("small", kept=True)
    specs += [replace(spec, rank=1) for spec in make_specs("slow", kept=True, options={"seconds": 0.2})]
    with pool_of(forkserver, specs) as pool:
        measure(pool)
        fast = pool.workers[0].samples()
        assert len(pool.workers[0].boundaries_ns) == specs[0].room + 1 == 5 + 4096 + 1
    assert fast is not None
    assert (len(fast.latencies_ns), len(fast.kept_ns)) == (5, 4096)
    assert fast.beyond > 0
    mean_ns = sum(fast.kept_ns) / 4096
    assert mean_ns / 10 < fast.beyond_ns / fast.beyond < mean_ns * 10


def test_a_window_of_seconds_measures_what_it_holds(forkserver: Context, make_specs: MakeSpecs) -> None:
    specs = make_specs("slow", 2, iterations=None, seconds=0.3, kept=True, options={"seconds": 0.01})
    with pool_of(forkserver, specs) as pool:
        pool.wait_ready(READY_S)
        end_ns = pool.release() + 300_000_000
        pool.wait_done(DEADLINE_S, 0.01, ignore)
        found = [worker.samples() for worker in pool.workers]
        assert [worker.done.measured for worker in pool.workers if worker.done] == [
            len(samples.latencies_ns) for samples in found if samples
        ]
    for samples in found:
        assert samples is not None
        assert samples.end_ns - samples.latencies_ns[-1] < end_ns <= samples.end_ns


def test_a_worker_that_dies_while_another_keeps_up_the_load_is_found(
    forkserver: Context, make_specs: MakeSpecs
) -> None:
    specs = fast_and_slow(make_specs, iterations=5)
    specs[1] = replace(specs[1], iterations=100_000)
    with pool_of(forkserver, specs) as pool:
        pool.wait_ready(READY_S)
        pool.release()
        wait_until(lambda: pool.workers[0].samples() is not None and has_kept(pool, 0))
        os.kill(pool.pids[1], signal.SIGKILL)
        began = time.monotonic()
        with pytest.raises(WorkerError, match="worker 1 was killed by SIGKILL"):
            pool.wait_done(DEADLINE_S, 0.01, ignore)
        assert time.monotonic() - began < DEADLINE_S / 2
    assert not any(map(psutil.pid_exists, pool.pids)), "nor does the other one go on for ever"


def has_kept(pool: WorkerPool, rank: int) -> bool:
    samples = pool.workers[rank].samples()
    return samples is not None and len(samples.kept_ns) > 0


def test_a_worker_that_keeps_up_the_load_and_dies_is_found(
    forkserver: Context, make_specs: MakeSpecs
) -> None:
    specs = fast_and_slow(make_specs, iterations=5)
    specs[1] = replace(specs[1], iterations=100_000)
    with pool_of(forkserver, specs) as pool:
        pool.wait_ready(READY_S)
        pool.release()
        wait_until(lambda: has_kept(pool, 0))
        os.kill(pool.pids[0], signal.SIGKILL)
        with pytest.raises(WorkerError, match="worker 0 was killed by SIGKILL"):
            pool.wait_done(DEADLINE_S, 0.01, ignore)


def test_a_worker_that_hangs_while_others_keep_up_the_load_is_given_up(
    forkserver: Context, make_specs: MakeSpecs
) -> None:
    """The load that is kept up is no progress."""
    specs = fast_and_slow(make_specs)
    hanging = make_specs("hangs_at", kept=True, options={"calls": 3})
    with pool_of(forkserver, [specs[0], replace(hanging[0], rank=1)]) as pool:
        pool.wait_ready(READY_S)
        pool.release()
        with pytest.raises(WorkerError, match=r"worker 1 hangs: no iteration finished for 1 s, 2 of 5 done"):
            pool.wait_done(1.0, 0.01, ignore)
        assert has_kept(pool, 0)
    assert not any(map(psutil.pid_exists, pool.pids))


def test_a_verbose_worker_tells_of_its_own_forwards_only(forkserver: Context, make_specs: MakeSpecs) -> None:
    told: list[tuple[int, int]] = []
    specs = fast_and_slow(make_specs, verbose=True)
    with WorkerPool(
        forkserver, specs, 5.0, lambda rank, _, message: told.append((rank, message.iteration))
    ) as pool:
        measure(pool)
        assert has_kept(pool, 0)
    assert sorted(told) == [(rank, iteration) for rank in (0, 1) for iteration in range(1, 6)]


def test_workers_are_ended_without_the_fork_server_too(forkserver: Context, make_specs: MakeSpecs) -> None:
    with pool_of(forkserver, make_specs("slow", 2, iterations=100_000)) as pool:
        pool.wait_ready(READY_S)
        pool.release()
        keepers = [psutil.Process(pid).parent() for pid in pool.pids]
        server = keepers[0].parent() if keepers[0] else None
        assert server is not None
        server.kill()  # the next start has a new one
        wait_until(lambda: not is_running(server))
        assert all(map(psutil.pid_exists, pool.pids))
        assert all(worker.process.exitcode is not None for worker in pool.workers), "it lost sight of them"
    assert not any(map(psutil.pid_exists, pool.pids))
    assert not any(keeper is None or is_running(keeper) for keeper in keepers)
