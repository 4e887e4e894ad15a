"""Ask the MPS daemon for the state of its servers while a trial goes on."""

import threading
import time
from typing import Self

from mps_experiments.errors import DaemonError
from mps_experiments.mps.control import MpsControl
from mps_experiments.record.faults import ServerState

_INTERVAL_S = 0.05
_CLOSELY_S = 1.0
_CLOSE_INTERVAL_S = 0.002  # asking takes about 10 ms, and a recovering server stays in FAULT hardly longer


class ServerWatch:
    """Asks repeatedly inside the block, in a thread, and keeps each change.

    Args:
        control: Connection to our own daemon; None watches nothing.
    """

    def __init__(self, control: MpsControl | None) -> None:
        self._control = control
        self._states: list[ServerState] = []
        self._stop = threading.Event()
        self._closely_until = 0.0
        self._thread = threading.Thread(target=self._watch, name="MPS server state", daemon=True)

    def __enter__(self) -> Self:
        if self._control is not None:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._control is not None:  # one look sends up to two commands
            self._thread.join(2 * self._control.timeout_s)

    def look_closely(self) -> None:
        """Ask almost without a pause for the next second; doing so always would take too much CPU time."""
        self._closely_until = time.monotonic() + _CLOSELY_S

    @property
    def states(self) -> tuple[ServerState, ...]:
        """Return the changes so far, beginning with the first answer."""
        return tuple(self._states)

    def _watch(self) -> None:
        assert self._control is not None  # noqa: S101 - else the thread is not started
        while not self._stop.is_set():
            state = _look(self._control)
            last = self._states[-1] if self._states else None
            if last is None or (last.servers, last.in_words) != (state.servers, state.in_words):
                self._states.append(state)
            close = time.monotonic() < self._closely_until
            self._stop.wait(_CLOSE_INTERVAL_S if close else _INTERVAL_S)


def _look(control: MpsControl) -> ServerState:
    try:
        servers, no_answer = control.server_states(), None
    except DaemonError as error:
        servers, no_answer = {}, str(error)
    # Time of the answer, so that a change caused by the fault while we asked comes after the fault.
    return ServerState(at_ns=time.monotonic_ns(), servers=servers, no_answer=no_answer)
