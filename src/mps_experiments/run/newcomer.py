"""Send a new client after a fault: is it served, how soon, and with MPS or silently without?"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from mps_experiments.errors import RunError, WorkerError
from mps_experiments.record.faults import Newcomer
from mps_experiments.record.proof import Observation
from mps_experiments.workers.pool import WorkerPool

_PAUSE_S = 0.1  # between two attempts


@dataclass(frozen=True)
class _Visit:
    """One attempt that was served."""

    served_ns: int
    result_ns: int
    start_s: float
    attached: bool


class NewcomerDesk:
    """Sends new clients, one after another, until one is served; in a thread, so that the runner can watch.

    Leaving the block ends it.

    Args:
        new_pool: Returns a pool, not yet entered, of one worker that does one iteration.
        observe: Returns the processes that are attached now.
        timeout_s: Seconds for a client to be served, over all attempts.
    """

    def __init__(
        self, new_pool: Callable[[], WorkerPool], observe: Callable[[], Observation], timeout_s: float
    ) -> None:
        self._new_pool, self._observe, self._timeout_s = new_pool, observe, timeout_s
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._attempt, name="newcomer", daemon=True)
        self._pool: WorkerPool | None = None
        self._asked_ns = 0
        self.newcomer: Newcomer | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        pool = self._pool
        if pool is not None:
            for worker in pool.workers:
                worker.kill()
        if self._asked_ns:
            self._thread.join(self._timeout_s)

    def open(self) -> None:
        """Send the first client, unless it was sent already."""
        if not self._asked_ns:
            self._asked_ns = time.monotonic_ns()
            self._thread.start()

    def wait(self) -> None:
        """Wait until a client was served or the time is over."""
        self._thread.join(2 * self._timeout_s)

    def _attempt(self) -> None:
        deadline = time.monotonic() + self._timeout_s
        failures: list[str] = []
        visit = None
        while visit is None and not self._closing.is_set() and (left := deadline - time.monotonic()) > 0:
            try:
                visit = self._visit(left)
            except (RunError, OSError) as error:
                failures.append(error.reason if isinstance(error, WorkerError) else str(error))
                self._closing.wait(_PAUSE_S)
        self.newcomer = Newcomer(
            asked_ns=self._asked_ns,
            served_ns=visit.served_ns if visit else None,
            result_ns=visit.result_ns if visit else None,
            left_ns=time.monotonic_ns(),
            start_s=visit.start_s if visit else None,
            attached=visit.attached if visit else None,
            failures=tuple(failures),
        )

    def _visit(self, timeout_s: float) -> _Visit:
        """Run one client from its start to its end.

        Raises:
            RunError: If it was not served.
        """
        started_ns = time.monotonic_ns()
        self._pool = self._new_pool()
        with self._pool as pool:
            if self._closing.is_set():  # __exit__ set it before there was a worker to kill
                raise RunError("the trial is over")
            pool.wait_ready(timeout_s)
            (worker,) = pool.workers
            attached = worker.pid in self._observe().client_pids
            pool.release()
            pool.wait_done(timeout_s, timeout_s, lambda _: None)
            assert worker.ready is not None  # noqa: S101 - it was waited for
            served_ns = worker.ready.facts.served_ns
            return _Visit(
                served_ns=served_ns,
                result_ns=worker.boundaries_ns[1],
                start_s=(served_ns - started_ns) / 1e9,
                attached=attached,
            )
