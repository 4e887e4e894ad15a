"""Parent side: start workers, wait for them with deadlines, release them together, end them."""

import os
import signal
import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from contextlib import suppress
from ctypes import c_longlong
from dataclasses import dataclass, field, replace
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from operator import not_
from typing import Self, TypeVar

from mps_experiments.errors import RunError, WorkerError
from mps_experiments.record.samples import WorkerSamples
from mps_experiments.record.worker import Done, Forward
from mps_experiments.workers.child import WorkerSpec, worker_main
from mps_experiments.workers.messages import (
    Exit,
    Failed,
    FromWorker,
    Go,
    Ready,
    Started,
    ToWorker,
    encode,
    receive_from_worker,
)
from mps_experiments.workers.timing import Boundaries, Counts

_LEAD_NS = 5_000_000  # from sending the start time until the start: enough to reach every worker
_KILL_TIMEOUT_S = 30.0  # no option: what survives SIGKILL longer is stuck in the driver
_T = TypeVar("_T")


@dataclass
class Worker:
    """One worker as the parent sees it.

    Attributes:
        process: Its keeper, which ends as it did once all its descendants are gone; see `keeper`.
        keeper: A pidfd of the keeper, since multiprocessing loses sight of it when the fork server dies; None
            where the kernel offers none.
        boundaries_ns: Start and ends of its iterations, those after its own included, zero where not reached.
        measured: Number of their own iterations of all workers, by rank; zero until they are done.
        asked: True until it has answered the last question.
        ended: Its failure or death, which the parent noticed at `ended_ns`; None until then.
    """

    spec: WorkerSpec
    process: BaseProcess
    keeper: int | None
    channel: Connection
    boundaries_ns: Boundaries
    measured: Counts
    started: Started | None = None
    ready: Ready | None = None
    done: Done | None = None
    asked: bool = False
    dismissed: bool = False
    answer: FromWorker | None = None
    ended: WorkerError | None = None
    started_ns: int = 0
    ready_ns: int = 0
    ended_ns: int = 0

    @property
    def pid(self) -> int:
        """Return the worker's process id; its keeper's until the worker has sent its own."""
        if self.started is not None:
            return self.started.pid
        assert self.process.pid is not None  # noqa: S101 - the pool keeps started processes only
        return self.process.pid

    def kill(self) -> None:
        """Have its keeper kill it and its descendants. No-op if they are gone."""
        if self.keeper is None:
            self.process.terminate()
            return
        with suppress(OSError):
            signal.pidfd_send_signal(self.keeper, signal.SIGTERM)

    def wait_gone(self, timeout_s: float) -> None:
        """Wait until it and its descendants are gone, or the time is over."""
        connection.wait([self.process.sentinel if self.keeper is None else self.keeper], timeout_s)

    def close(self) -> None:
        """Wait until it and its descendants are gone, and close the handles to it."""
        self.wait_gone(_KILL_TIMEOUT_S)
        self.process.join(_KILL_TIMEOUT_S)
        if self.keeper is not None:
            os.close(self.keeper)
            self.keeper = None
        self.channel.close()

    def samples(self) -> WorkerSamples | None:
        """Return the samples measured so far; None before the start."""
        if not self.boundaries_ns[0]:
            return None
        boundaries = tuple(self.boundaries_ns[: self._recorded_iterations() + 1])
        samples = WorkerSamples.from_boundaries(self.spec.rank, boundaries, self.finished_iterations())
        if self.done is None:
            return samples
        return replace(samples, beyond=self.done.beyond, beyond_ns=self.done.beyond_ns)

    def finished_iterations(self) -> int:
        """Return the number of its own iterations that are done."""
        return self.measured[self.spec.rank] or min(self._recorded_iterations(), self.spec.limit)

    def _recorded_iterations(self) -> int:
        """Count the iterations with a timestamp; these are written in order."""
        return max(bisect_left(self.boundaries_ns, True, key=not_) - 1, 0)


@dataclass
class WorkerPool:
    """The workers of one run; leaving the block ends all of them.

    Attributes:
        on_forward: Called with (rank, pid, message) for each forward of a verbose worker.
    """

    context: ForkServerContext | SpawnContext
    specs: Sequence[WorkerSpec]
    stop_timeout_s: float
    on_forward: Callable[[int, int, Forward], None]
    workers: list[Worker] = field(default_factory=list)
    measured: Counts = field(init=False)

    def __enter__(self) -> Self:
        # One place for each rank; a client that starts after a fault has the rank after the last.
        self.measured = self.context.RawArray(c_longlong, max((s.rank for s in self.specs), default=0) + 1)
        try:
            for spec in self.specs:
                self._start(spec)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self, spec: WorkerSpec) -> None:
        boundaries = self.context.RawArray(c_longlong, spec.room + 1)
        ours, theirs = self.context.Pipe()
        process = self.context.Process(
            target=worker_main,
            args=(spec, boundaries, self.measured, theirs),
            name=f"worker-{spec.rank}",
            daemon=True,
        )
        started_ns = time.monotonic_ns()
        try:
            process.start()
        except (OSError, EOFError) as error:
            ours.close()
            raise WorkerError(spec.rank, f"could not be started: {error}") from error
        finally:
            theirs.close()
        self.workers.append(
            Worker(
                spec=spec,
                process=process,
                keeper=_handle_of(process),
                channel=ours,
                boundaries_ns=boundaries,
                measured=self.measured,
                started_ns=started_ns,
            )
        )

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids by rank."""
        return tuple(worker.pid for worker in self.workers)

    def wait_ready(self, timeout_s: float) -> None:
        """Wait until every worker is loaded and warm.

        Raises:
            WorkerError: If one failed, died, or was not ready in time.
        """
        self._wait(self.workers, lambda worker: worker.ready is None, timeout_s, "was not ready")

    def release(self) -> int:
        """Start all workers at one time of the system-wide monotonic clock; return it, in nanoseconds."""
        go = self.next_start()
        for worker in self.workers:
            self._send(worker, go)
        return go.start_at_ns

    @staticmethod
    def next_start() -> Go:
        """Return a start time far enough ahead for the message to reach every worker."""
        return Go(start_at_ns=time.monotonic_ns() + _LEAD_NS)

    def wait_done(self, stall_timeout_s: float, tick_s: float, on_tick: Callable[[int], None]) -> None:
        """Sleep until every worker has finished its iterations.

        Args:
            stall_timeout_s: Seconds without a finished iteration of any worker after which to give up.
            tick_s: Seconds between two looks at the progress; the parent sleeps in between.
            on_tick: Called with the number of iterations finished by all workers.

        Raises:
            WorkerError: If one failed, died or hangs.
        """
        finished, changed = -1, time.monotonic()
        while waiting := [worker for worker in self.workers if worker.done is None]:
            count = sum(worker.finished_iterations() for worker in self.workers)
            if count != finished:
                finished, changed = count, time.monotonic()
                on_tick(finished)
            remaining = changed + stall_timeout_s - time.monotonic()
            if remaining <= 0:
                slowest = min(waiting, key=Worker.finished_iterations)
                raise WorkerError(
                    slowest.spec.rank,
                    f"hangs: no iteration finished for {stall_timeout_s:g} s, "
                    f"{slowest.finished_iterations()} of {slowest.spec.iterations or 'auto'} done",
                )
            self._hear(waiting, min(remaining, tick_s))

    def ask(
        self,
        questions: Sequence[ToWorker],
        kind: type[_T],
        timeout_s: float,
        workers: Sequence[Worker] | None = None,
    ) -> list[_T]:
        """Put one question to each of the workers, or to all; return the answers in the same order.

        Raises:
            WorkerError: If a worker failed, died, gave an answer of another kind, or none in time.
        """
        workers = self.workers if workers is None else workers
        for worker, question in zip(workers, questions, strict=True):
            worker.asked, worker.answer = True, None
            self._send(worker, question)
        self._wait(workers, lambda worker: worker.answer is None, timeout_s, "did not answer")
        answers: list[_T] = []
        for worker in workers:
            if not isinstance(worker.answer, kind):
                what = f"answered {type(worker.answer).__name__}, not {kind.__name__}"
                raise WorkerError(worker.spec.rank, what)
            answers.append(worker.answer)
        return answers

    def dismiss(self) -> None:
        """Tell the workers to exit, once, without waiting for it. Raises no RunError."""
        for worker in self.workers:
            if not worker.dismissed:
                worker.dismissed = True
                with suppress(OSError):  # it is gone, or has hung up
                    worker.channel.send_bytes(encode(Exit()))

    def stop(self) -> None:
        """Tell the workers to exit, kill those that do not in time, wait for all. Raises no RunError."""
        self.dismiss()
        deadline = time.monotonic() + self.stop_timeout_s
        try:
            busy = [w for w in self.workers if w.done is None or w.asked]
            for worker in busy:  # it reads no message within its loop or before it has answered
                worker.kill()
            for worker in self.workers:
                worker.wait_gone(max(0.0, deadline - time.monotonic()))
        finally:
            for worker in self.workers:
                worker.kill()
            for worker in self.workers:
                worker.close()

    def _wait(
        self, workers: Sequence[Worker], is_waited_for: Callable[[Worker], bool], timeout_s: float, what: str
    ) -> None:
        """Hear those workers that are waited for until there are none, or raise what they failed to do."""
        deadline = time.monotonic() + timeout_s
        while waiting := [worker for worker in workers if is_waited_for(worker)]:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise WorkerError(waiting[0].spec.rank, f"{what} within {timeout_s:g} s")
            self._hear(waiting, remaining)

    def _hear(self, workers: Sequence[Worker], timeout_s: float) -> None:
        """Listen, and raise the first failure or death."""
        for error in self.listen(workers, timeout_s):
            raise error

    def listen(self, workers: Sequence[Worker], timeout_s: float) -> list[WorkerError]:
        """Wait for the next messages or deaths, note them, and return the failures and deaths among them."""
        heard = connection.wait([worker.channel for worker in workers], timeout_s)
        heard_ns = time.monotonic_ns()
        ended = []
        for worker in workers:
            if worker.channel in heard:
                try:
                    self._take_message(worker)
                except WorkerError as error:
                    worker.ended, worker.ended_ns = error, heard_ns
                    ended.append(error)
        return ended

    def _take_message(self, worker: Worker) -> None:
        rank = worker.spec.rank
        try:
            message = receive_from_worker(worker.channel)
        except RunError as error:
            raise WorkerError(rank, f"cannot be understood: {error}") from error
        except (EOFError, OSError) as error:
            raise WorkerError(rank, self._death(worker)) from error
        match message:
            case Started():
                worker.started = message
            case Ready():
                worker.ready, worker.ready_ns = message, time.monotonic_ns()
            case Done():
                worker.done = message
            case Forward():
                self.on_forward(rank, worker.pid, message)
            case Failed():
                raise WorkerError(rank, f"failed ({message.phase}): {message.error}", message.traceback)
            case _:
                worker.asked, worker.answer = False, message

    def _send(self, worker: Worker, message: ToWorker) -> None:
        try:
            worker.channel.send_bytes(encode(message))
        except OSError as error:
            raise WorkerError(worker.spec.rank, self._death(worker)) from error

    def _death(self, worker: Worker) -> str:
        """Describe the end of a worker that closed its channel without a message."""
        worker.process.join(_KILL_TIMEOUT_S)
        code = worker.process.exitcode
        if code is None:
            return "closed its channel but is still alive"
        if code < 0:
            return f"was killed by {signal.Signals(-code).name}"
        return f"exited with code {code} without a word"


def _handle_of(process: BaseProcess) -> int | None:
    assert process.pid is not None  # noqa: S101 - it was started
    try:
        return os.pidfd_open(process.pid)
    except OSError:  # an old kernel, a sandbox, or the process has ended already
        return None
