"""Parent side: start workers, wait for them with deadlines, release them together, end them."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from ctypes import c_longlong
from dataclasses import dataclass, field
from multiprocessing import connection
from multiprocessing.context import ForkServerContext, SpawnContext
from typing import Self, TypeVar

from mps_experiments.errors import RunError, WorkerError
from mps_experiments.record.worker import Done, Forward
from mps_experiments.workers.child import WorkerSpec, worker_main
from mps_experiments.workers.messages import (
    Exit,
    Failed,
    Go,
    Ready,
    Started,
    ToWorker,
    encode,
    receive_from_worker,
)
from mps_experiments.workers.timing import Counts
from mps_experiments.workers.worker import Worker, handle_of

_LEAD_NS = 5_000_000  # from sending the start time until the start: enough to reach every worker
_T = TypeVar("_T")


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
                keeper=handle_of(process),
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
            worker.send(go)
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
            worker.send(question)
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
            raise WorkerError(rank, worker.death()) from error
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
