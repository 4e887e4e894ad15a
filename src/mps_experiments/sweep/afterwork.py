"""Finish work for other cells while a cell's workers load: one job at a time, in a thread."""

import threading
from collections.abc import Callable

Job = Callable[[], object]


class Afterwork:
    """Jobs that run while the main thread only waits, and are done before it needs quiet."""

    def __init__(self) -> None:
        self._waiting: list[Job] = []
        self._thread: threading.Thread | None = None
        self._errors: list[BaseException] = []

    def add(self, job: Job) -> None:
        """Add a job; it starts at the next `begin`, `is_done` or `settle`."""
        self._waiting.append(job)

    def begin(self) -> None:
        """Start the added jobs; they run once earlier ones are done."""
        if not self._waiting:
            return
        earlier, jobs, self._waiting = self._thread, self._waiting, []

        def run() -> None:
            nonlocal earlier
            if earlier is not None:
                earlier.join()
            earlier = None
            while jobs:  # drop each job, so that a long sweep keeps no data of its cells
                try:
                    jobs.pop(0)()
                except BaseException as error:
                    self._errors.append(error)

        # A daemon: it cannot keep the program from ending.
        self._thread = threading.Thread(target=run, name="afterwork", daemon=True)
        self._thread.start()

    def is_done(self, timeout_s: float) -> bool:
        """Start the added jobs and wait for all; return False if they are not done in time."""
        self.begin()
        if self._thread is None:
            return True
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            return False
        self._thread = None
        return True

    def settle(self, timeout_s: float) -> bool:
        """Do as `is_done`, then raise the first error that a job raised."""
        done = self.is_done(timeout_s)
        if self._errors:
            raise self._errors.pop(0)
        return done
