"""What can be done of other cells while a cell's workers load: one job at a time, in a thread."""

import threading
from collections.abc import Callable

Job = Callable[[], object]


class Afterwork:
    """Jobs that wait until the main thread only waits, too, and that are done before it needs quiet."""

    def __init__(self) -> None:
        self._waiting: list[Job] = []
        self._thread: threading.Thread | None = None
        self._errors: list[BaseException] = []

    def add(self, job: Job) -> None:
        """Add a job; it starts with the next `begin`, or when somebody waits for it."""
        self._waiting.append(job)

    def begin(self) -> None:
        """Start what was added; it runs when an earlier job that is late is done."""
        if not self._waiting:
            return
        earlier, jobs, self._waiting = self._thread, self._waiting, []

        def run() -> None:
            nonlocal earlier
            if earlier is not None:
                earlier.join()
            earlier = None
            while jobs:  # a long sweep keeps nothing of its cells
                try:
                    jobs.pop(0)()
                except BaseException as error:
                    self._errors.append(error)

        # A daemon: it cannot keep the program from ending.
        self._thread = threading.Thread(target=run, name="afterwork", daemon=True)
        self._thread.start()

    def is_done(self, timeout_s: float) -> bool:
        """Start what was added and wait for all of it; False if it is not done in time."""
        self.begin()
        if self._thread is None:
            return True
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            return False
        self._thread = None
        return True

    def settle(self, timeout_s: float) -> bool:
        """The same, and raise what a job raised."""
        done = self.is_done(timeout_s)
        if self._errors:
            raise self._errors.pop(0)
        return done
