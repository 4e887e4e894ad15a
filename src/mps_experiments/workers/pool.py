"""The parent side: start workers, wait for them with deadlines, release them together, end them."""

import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from ctypes import c_longlong
from dataclasses import dataclass, field, replace
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from typing import Self, TypeVar

from mps_experiments.errors import RunError, WorkerError
from mps_experiments.measurement.samples import WorkerSamples
from mps_experiments.workers.child import WorkerSpec, worker_main
from mps_experiments.workers.messages import (
    Done,
    Exit,
    Failed,
    Forward,
    FromWorker,
    Go,
    Ready,
    Started,
    ToWorker,
    encode,
    receive_from_worker,
)
from mps_experiments.workers.timing import Boundaries, Counts

_LEAD_NS = 5_000_000  # from the word to start until the start: long enough to reach every worker
_T = TypeVar("_T")


@dataclass
class Worker:
    """One worker as the parent sees it.

    Attributes:
        process: Its keeper, which ends like it once all that it started is gone; see `keeper`.
        keeper: A pidfd of that, since multiprocessing loses sight of it when the fork server dies; None where
            the kernel has none.
        boundaries_ns: Start and ends of its iterations, those after its own included, zero where not reached.
        measured: By rank of all workers, how many iterations were their own; zero until they were done.
        ended: How it failed or died; None as long as it did not.
        ended_ns: When the parent heard of it.
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
        """The worker's own; the keeper's until the worker has told."""
        if self.started is not None:
            return self.started.pid
        assert self.process.pid is not None  # noqa: S101 - the pool keeps started processes only
        return self.process.pid

    def kill(self) -> None:
        """Have its keeper kill it and all that it started; no-op if it is gone."""
        if self.keeper is None:
            self.process.terminate()
            return
        with suppress(OSError):
            signal.pidfd_send_signal(self.keeper, signal.SIGTERM)

    def wait_gone(self, timeout_s: float) -> None:
        """Wait until it is gone with all that it started, or the time is over."""
        connection.wait([self.process.sentinel if self.keeper is None else self.keeper], timeout_s)

    def close(self, timeout_s: float) -> None:
        """Wait until it is gone with all that it started, and close what leads to it."""
        self.wait_gone(timeout_s)
        self.process.join(timeout_s)
        if self.keeper is not None:
            os.close(self.keeper)
            self.keeper = None
        self.channel.close()

    def samples(self) -> WorkerSamples | None:
        """What it has measured so far; None before its start."""
        if not self.boundaries_ns[0]:
            return None
        boundaries = tuple(self.boundaries_ns[: self._recorded_iterations() + 1])
        samples = WorkerSamples.from_boundaries(self.spec.rank, boundaries, self.finished_iterations())
        if self.done is None:
            return samples
        return replace(samples, beyond=self.done.beyond, beyond_ns=self.done.beyond_ns)

    def finished_iterations(self) -> int:
        """Return how many of its own iterations are done."""
        return self.measured[self.spec.rank] or min(self._recorded_iterations(), self.spec.limit)

    def _recorded_iterations(self) -> int:
        """Return for how many there is a timestamp: they are written in order, so a bisection finds it."""
        low, high = 0, len(self.boundaries_ns)
        while low < high:
            middle = (low + high) // 2
            if self.boundaries_ns[middle]:
                low = middle + 1
            else:
                high = middle
        return max(low - 1, 0)


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
    kill_timeout_s: float = 30.0
    measured: Counts = field(init=False)

    def __enter__(self) -> Self:
        # One place for each rank; a client that comes after a fault has the rank after the last.
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
        started = time.monotonic_ns()
        try:
            process.start()
            keeper = _handle_of(process)
        except (OSError, EOFError) as error:
            ours.close()
            raise WorkerError(spec.rank, f"could not be started: {error}") from error
        finally:
            theirs.close()
        self.workers.append(
            Worker(
                spec=spec,
                process=process,
                keeper=keeper,
                channel=ours,
                boundaries_ns=boundaries,
                measured=self.measured,
                started_ns=started,
            )
        )

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids by rank."""
        return tuple(worker.pid for worker in self.workers)

    def wait_ready(self, timeout_s: float) -> None:
        """Return when every worker is loaded and warm.

        Raises:
            WorkerError: If one failed, died, or was not ready in time.
        """
        deadline = time.monotonic() + timeout_s
        while waiting := [worker for worker in self.workers if worker.ready is None]:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise WorkerError(waiting[0].spec.rank, f"was not ready within {timeout_s:g} s")
            self._take_messages(waiting, remaining)

    def release(self) -> int:
        """Start all workers at one moment of the system-wide monotonic clock; returns it, in nanoseconds."""
        go = self.next_start()
        for worker in self.workers:
            self._send(worker, go)
        return go.start_at_ns

    @staticmethod
    def next_start() -> Go:
        """A moment that is far enough ahead for every worker to hear of it."""
        return Go(start_at_ns=time.monotonic_ns() + _LEAD_NS)

    def wait_done(self, stall_timeout_s: float, tick_s: float, on_tick: Callable[[int], None]) -> None:
        """Sleep until every worker has finished its iterations.

        Args:
            stall_timeout_s: Give up when no worker finished an iteration for so long.
            tick_s: How often to wake and look at the progress; the parent does nothing in between.
            on_tick: Called with the number of iterations finished by all workers.

        Raises:
            WorkerError: If one failed, died or hangs.
        """
        finished, changed = -1, time.monotonic()
        while waiting := [worker for worker in self.workers if worker.done is None]:
            counts = [worker.finished_iterations() for worker in self.workers]
            if sum(counts) != finished:
                finished, changed = sum(counts), time.monotonic()
                on_tick(finished)
            remaining = changed + stall_timeout_s - time.monotonic()
            if remaining <= 0:
                slowest = min(waiting, key=Worker.finished_iterations)
                raise WorkerError(
                    slowest.spec.rank,
                    f"hangs: no iteration finished for {stall_timeout_s:g} s, "
                    f"{slowest.finished_iterations()} of {slowest.spec.iterations or 'auto'} done",
                )
            self._take_messages(waiting, min(remaining, tick_s))

    def ask(
        self,
        questions: Sequence[ToWorker],
        kind: type[_T],
        timeout_s: float,
        workers: Sequence[Worker] | None = None,
    ) -> list[_T]:
        """Put one question to each worker and wait for all answers, of one kind and in the same order.

        Args:
            questions: One for each of the workers asked.
            kind: What the answers are to be.
            timeout_s: Seconds for all of them to answer.
            workers: Who is asked; None asks all.

        Raises:
            WorkerError: If a worker failed, died, said something else or did not answer in time.
        """
        workers = self.workers if workers is None else workers
        for worker, question in zip(workers, questions, strict=True):
            worker.asked, worker.answer = True, None
            self._send(worker, question)
        deadline = time.monotonic() + timeout_s
        while waiting := [worker for worker in workers if worker.answer is None]:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise WorkerError(waiting[0].spec.rank, f"did not answer within {timeout_s:g} s")
            self._take_messages(waiting, remaining)
        answers = [worker.answer for worker in workers if isinstance(worker.answer, kind)]
        if len(answers) < len(workers):
            other = next(worker for worker in workers if not isinstance(worker.answer, kind))
            raise WorkerError(other.spec.rank, f"answered {type(other.answer).__name__}, not {kind.__name__}")
        return answers

    def dismiss(self) -> None:
        """Tell the workers to exit, once, and do not wait for it. Raises no RunError."""
        for worker in self.workers:
            if not worker.dismissed:
                worker.dismissed = True
                with suppress(RunError):
                    self._send(worker, Exit())

    def stop(self) -> None:
        """Tell the workers to exit, kill those that do not in time, wait for all. Raises no RunError."""
        self.dismiss()
        deadline = time.monotonic() + self.stop_timeout_s
        try:
            busy = [w for w in self.workers if w.done is None or w.asked]
            for worker in busy:  # it reads no message inside its loop, nor before it has answered
                worker.kill()
            for worker in self.workers:
                worker.wait_gone(max(0.0, deadline - time.monotonic()))
        finally:
            for worker in self.workers:
                worker.kill()
            for worker in self.workers:
                worker.close(self.kill_timeout_s)

    def _take_messages(self, workers: Sequence[Worker], timeout_s: float) -> None:
        """Wait for the next messages or deaths and note them; the first failure or death is raised."""
        for error in self.listen(workers, timeout_s):
            raise error

    def listen(self, workers: Sequence[Worker], timeout_s: float) -> list[WorkerError]:
        """Wait for the next messages or deaths and note them; returns the failures and deaths among them."""
        by_channel: dict[object, Worker] = {worker.channel: worker for worker in workers}
        ended = []
        heard = connection.wait([worker.channel for worker in workers], timeout_s)
        heard_ns = time.monotonic_ns()
        for channel in heard:
            worker = by_channel[channel]
            try:
                self._take_message(worker)
            except WorkerError as error:
                worker.ended, worker.ended_ns = error, heard_ns
                ended.append(error)
        return ended

    def _take_message(self, worker: Worker) -> None:
        try:
            self._note(worker, receive_from_worker(worker.channel))
        except WorkerError:
            raise
        except RunError as error:
            raise WorkerError(worker.spec.rank, f"is not to be understood: {error}") from error
        except (EOFError, OSError) as error:
            raise WorkerError(worker.spec.rank, self._death(worker)) from error

    def _note(self, worker: Worker, message: FromWorker) -> None:
        match message:
            case Started():
                worker.started = message
            case Ready():
                worker.ready, worker.ready_ns = message, time.monotonic_ns()
            case Done():
                worker.done = message
            case Forward():
                self.on_forward(worker.spec.rank, worker.pid, message)
            case Failed():
                raise WorkerError(
                    worker.spec.rank, f"failed ({message.phase}): {message.error}", message.traceback
                )
            case _:
                worker.asked, worker.answer = False, message

    def _send(self, worker: Worker, message: ToWorker) -> None:
        try:
            worker.channel.send_bytes(encode(message))
        except OSError as error:
            raise WorkerError(worker.spec.rank, self._death(worker)) from error

    def _death(self, worker: Worker) -> str:
        """How a worker that closed its channel without a word ended."""
        worker.process.join(self.kill_timeout_s)
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
    except OSError:  # an old kernel, a sandbox that forbids it, or it has ended already
        return None
