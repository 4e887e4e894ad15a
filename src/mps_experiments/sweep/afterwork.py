"""Finish work for other cells while a cell's workers load: one job at a time, in a thread."""

import threading
from collections.abc import Callable

from mps_experiments.machine.signals import held_back

Job = Callable[[], object]


class Afterwork:
    """Jobs that run while the main thread only waits, and are done before it needs quiet.

    What is waited for is an event, never the thread: a signal that interrupts `Thread.join` makes a thread
    look as if it had ended (https://github.com/python/cpython/issues/90882).
    """

    def __init__(self) -> None:
        self._waiting: list[Job] = []
        self._done = threading.Event()
        self._done.set()
        self._errors: list[BaseException] = []

    def add(self, job: Job) -> None:
        """Add a job; it starts at the next `begin`, `is_done` or `settle`."""
        self._waiting.append(job)

    def begin(self) -> None:
        """Start the added jobs; they run once earlier ones are done."""
        if not self._waiting:
            return
        with held_back():  # no job is lost or begun twice
            earlier, jobs, done = self._done, self._waiting, threading.Event()

            def run() -> None:
                earlier.wait()
                while jobs:  # drop each job, so that a long sweep keeps no data of its cells
                    try:
                        jobs.pop(0)()
                    except BaseException as error:
                        self._errors.append(error)
                done.set()

            self._waiting, self._done = [], done
            # A daemon: it cannot keep the program from ending.
            threading.Thread(target=run, name="afterwork", daemon=True).start()

    def is_done(self, timeout_s: float) -> bool:
        """Start the added jobs and wait for all; return False if they are not done in time."""
        self.begin()
        return self._done.wait(timeout_s)

    def settle(self, timeout_s: float) -> bool:
        """Do as `is_done`, then raise the first error that a job raised."""
        done = self.is_done(timeout_s)
        if self._errors:
            raise self._errors.pop(0)
        return done
