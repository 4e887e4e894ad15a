"""What is left to do of a cell while the next one's workers load: one job at a time, in a thread."""

import threading
from collections.abc import Callable


class Afterwork:
    """Jobs that run one after the other beside the main thread, which waits for them when it needs quiet."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._errors: list[BaseException] = []

    def begin(self, job: Callable[[], None]) -> None:
        """Start a job; it runs when an earlier one that is late is done."""
        earlier = self._thread

        def run() -> None:
            nonlocal earlier, job
            if earlier is not None:
                earlier.join()
            try:
                job()
            except BaseException as error:
                self._errors.append(error)
            del earlier, job  # a long sweep keeps nothing of its cells

        # A daemon: it cannot keep the program from ending.
        self._thread = threading.Thread(target=run, name="afterwork", daemon=True)
        self._thread.start()

    def is_done(self, timeout_s: float) -> bool:
        """Wait for what was begun; False if it is not done in time."""
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
