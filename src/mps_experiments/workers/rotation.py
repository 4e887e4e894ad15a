"""Move all workers on by one CPU core at the same times, so that fast and slow cores are shared out.

The parent moves them, from a core of its own: a worker that moved itself could do so only between two
iterations, and with long ones would meet others on cores that these have not left yet.
"""

import contextlib
import os
import threading
from collections.abc import Sequence
from typing import Self

_JOIN_S = 5.0


class Rotation:
    """Moves workers while the block runs, and takes each back to its own core at its end.

    Args:
        pids: Process ids by rank. Their first threads are moved, which run the iterations.
        ring: The cores, that of rank N at place N; fewer than two move nothing.
        every_s: Seconds between two moves.
    """

    def __init__(self, pids: Sequence[int], ring: Sequence[int], every_s: float) -> None:
        self._pids, self._ring, self._every_s = pids, ring, every_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._rotate, name="rotation", daemon=True)

    def __enter__(self) -> Self:
        if len(self._ring) > 1:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread.ident is not None:
            self._over.set()
            self._thread.join(_JOIN_S)
            self._move(0)

    def _rotate(self) -> None:
        turn = 0
        while not self._over.wait(self._every_s):
            turn += 1
            self._move(turn)

    def _move(self, turn: int) -> None:
        """Move the last rank first, as the one before takes its place."""
        for rank in reversed(range(len(self._pids))):
            with contextlib.suppress(ProcessLookupError):  # it has died, which others notice
                os.sched_setaffinity(self._pids[rank], (self._ring[(rank + turn) % len(self._ring)],))
