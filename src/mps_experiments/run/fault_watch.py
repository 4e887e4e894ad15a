"""Watch the effects of a fault: the servers' state, a new client's fate, and device memory."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Self

from mps_experiments.errors import DaemonError, RunError, WorkerError
from mps_experiments.machine.gpus import GpuProbe
from mps_experiments.mps.control import MpsControl
from mps_experiments.record.faults import DeviceMemory, Newcomer, ServerState
from mps_experiments.record.proof import Observation
from mps_experiments.run.run_state import RunState
from mps_experiments.workers.pool import WorkerPool

_INTERVAL_S = 0.05
_CLOSELY_S = 1.0
_CLOSE_INTERVAL_S = 0.002  # asking takes about 10 ms, and a recovering server stays in FAULT hardly longer
_PAUSE_S = 0.1  # between two attempts of a new client
_SETTLE_S = 5.0  # the driver releases a dead process's memory a moment later
_LOOK_AGAIN_S = 0.05


class ServerWatch:
    """Asks the daemon for its servers repeatedly inside the block, in a thread, and keeps each change.

    Args:
        control: Connection to our own daemon; None watches nothing.
    """

    def __init__(self, control: MpsControl | None) -> None:
        self._control = control
        self._stop = threading.Event()
        self._closely_until = 0.0
        self.states: list[ServerState] = []

    def __enter__(self) -> Self:
        if self._control is not None:
            self._thread = threading.Thread(
                target=self._watch, args=(self._control,), name="MPS server state", daemon=True
            )
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._control is not None:  # one look sends up to two commands
            self._thread.join(2 * self._control.timeout_s)

    def look_closely(self) -> None:
        """Ask almost without a pause for the next second; doing so always would take too much CPU time."""
        self._closely_until = time.monotonic() + _CLOSELY_S

    def _watch(self, control: MpsControl) -> None:
        while not self._stop.is_set():
            try:
                servers, no_answer = control.server_states(), None
            except DaemonError as error:
                servers, no_answer = {}, str(error)
            # Time of the answer, so that a change caused by the fault while we asked comes after the fault.
            state = ServerState(at_ns=time.monotonic_ns(), servers=servers, no_answer=no_answer)
            last = self.states[-1] if self.states else None
            if last is None or (last.servers, last.in_words) != (state.servers, state.in_words):
                self.states.append(state)
            close = time.monotonic() < self._closely_until
            self._stop.wait(_CLOSE_INTERVAL_S if close else _INTERVAL_S)


class NewClients:
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
        self._thread = threading.Thread(target=self._attempt, name="new client", daemon=True)
        self._pool: WorkerPool | None = None
        self._asked_ns = 0
        self.newcomer: Newcomer | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        if self._pool is not None:
            for worker in self._pool.workers:
                worker.kill()
        if self._asked_ns:
            self._thread.join(self._timeout_s)

    def send(self) -> None:
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
        found = Newcomer(
            asked_ns=self._asked_ns,
            served_ns=None,
            result_ns=None,
            left_ns=0,
            start_s=None,
            attached=None,
            failures=(),
        )
        while found.served_ns is None and not self._closing.is_set() and time.monotonic() < deadline:
            try:
                found = self._visit(found, deadline - time.monotonic())
            except (RunError, OSError) as error:
                failures.append(error.reason if isinstance(error, WorkerError) else str(error))
                self._closing.wait(_PAUSE_S)
        self.newcomer = replace(found, left_ns=time.monotonic_ns(), failures=tuple(failures))

    def _visit(self, before: Newcomer, timeout_s: float) -> Newcomer:
        """Run one client from its start to its end.

        Raises:
            RunError: If it was not served.
        """
        started_ns = time.monotonic_ns()
        self._pool = self._new_pool()
        with self._pool as pool:
            try:
                if not self._closing.is_set():  # else __exit__ set it before there was a worker to kill
                    return self._served(before, pool, started_ns, timeout_s)
            except RunError:
                if not self._closing.is_set():  # else we ended it, and its error is of our making
                    raise
            raise RunError("the trial is over")

    def _served(self, before: Newcomer, pool: WorkerPool, started_ns: int, timeout_s: float) -> Newcomer:
        pool.wait_ready(timeout_s)
        (worker,) = pool.workers
        attached = worker.pid in self._observe().client_pids
        pool.release()
        pool.wait_done(timeout_s, timeout_s, lambda _: None)
        assert worker.ready is not None  # noqa: S101 - it was waited for
        served_ns = worker.ready.facts.served_ns
        return replace(
            before,
            served_ns=served_ns,
            result_ns=worker.boundaries_ns[1],
            start_s=(served_ns - started_ns) / 1e9,
            attached=attached,
        )


@contextlib.contextmanager
def watching_memory(probe: GpuProbe, gpu_uuid: str | None, state: RunState) -> Iterator[Callable[[], None]]:
    """Read device memory before and after the block, and add it to the state's trial.

    Yields what must be called once the workers are gone. Reads nothing without a `gpu_uuid`.
    """

    workers_gone: int | None = None

    def read() -> int | None:
        return probe.memory_used_bytes(gpu_uuid) if gpu_uuid else None

    def note_workers_gone() -> None:
        nonlocal workers_gone
        workers_gone = read()

    before = read()
    try:
        yield note_workers_gone
    finally:
        if state.fault is not None and before is not None and workers_gone is not None:
            deadline = time.monotonic() + _SETTLE_S
            while (end := read()) is not None and end > before and time.monotonic() < deadline:
                time.sleep(_LOOK_AGAIN_S)
            if end is not None:
                memory = DeviceMemory(before=before, workers_gone=workers_gone, end=end)
                state.fault = replace(state.fault, memory=memory)
