"""Move all workers on by one CPU core at the same time, so that each gets fast and slow cores alike.

The parent moves them, from a core of its own. A worker could move itself only between two iterations; long
ones would make it share a core with a worker that has not left yet.
"""

import contextlib
import os
import threading
from collections.abc import Sequence
from typing import Self

_JOIN_S = 5.0


class Rotation:
    """Moves workers while the block runs, and returns each to its first core at the end.

    Args:
        pids: Process ids by rank. Only their main threads move; these run the iterations.
        ring: Core numbers; rank N begins at place N. With fewer than two nothing moves.
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
        """Move every worker to its core of this turn, the last rank first: its neighbour takes its place."""
        for rank in reversed(range(len(self._pids))):
            with contextlib.suppress(ProcessLookupError):  # it has died; the pool reports that
                os.sched_setaffinity(self._pids[rank], (self._ring[(rank + turn) % len(self._ring)],))
