"""One worker as the parent sees it: its process, its channel, what it has measured so far."""

import os
import signal
from bisect import bisect_left
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from operator import not_

from mps_experiments.errors import WorkerError
from mps_experiments.record.samples import WorkerSamples
from mps_experiments.record.worker import Done
from mps_experiments.workers.child import WorkerSpec
from mps_experiments.workers.messages import FromWorker, Ready, Started, ToWorker, encode
from mps_experiments.workers.timing import Boundaries, Counts

_KILL_TIMEOUT_S = 30.0  # no option: what survives SIGKILL longer is stuck in the driver


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

    def send(self, message: ToWorker) -> None:
        """Send a message.

        Raises:
            WorkerError: If the worker is gone, or has hung up.
        """
        try:
            self.channel.send_bytes(encode(message))
        except OSError as error:
            raise WorkerError(self.spec.rank, self.death()) from error

    def death(self) -> str:
        """Describe the end of a worker that closed its channel without a message."""
        self.process.join(_KILL_TIMEOUT_S)
        code = self.process.exitcode
        if code is None:
            return "closed its channel but is still alive"
        if code < 0:
            return f"was killed by {signal.Signals(-code).name}"
        return f"exited with code {code} without a word"

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


def handle_of(process: BaseProcess) -> int | None:
    """Return a pidfd of a process that was started; None where there can be none."""
    assert process.pid is not None  # noqa: S101 - it was started
    try:
        return os.pidfd_open(process.pid)
    except OSError:  # an old kernel, a sandbox, or the process has ended already
        return None
