"""When MPS ended: the moment at which its daemon or a server is gone, seen without asking over and over."""

import contextlib
import os
import select
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

_JOIN_S = 5.0


@dataclass(frozen=True, kw_only=True)
class End:
    """A process of MPS that is gone; `at_ns` is the moment it was seen, of the monotonic clock."""

    name: str
    pid: int
    at_ns: int


class EndWatch:
    """Note which of some processes end in the block, and when; a thread sleeps in the kernel until one does.

    Where the kernel has no descriptors of processes, nothing is noted.

    Args:
        names: Process id -> what it is; of ends that are seen together, in this order.

    Attributes:
        ends: Those that ended, the first first.
    """

    def __init__(self, names: Mapping[int, str]) -> None:
        self._names = names
        self.ends: list[End] = []

    def __enter__(self) -> Self:
        self._stack = contextlib.ExitStack()
        self._by_descriptor: dict[int, int] = {}
        for pid in self._names:
            self._open(pid)
        self._wake, woken = os.pipe()[::-1]
        self._stack.callback(os.close, woken)
        self._thread = threading.Thread(target=self._watch, args=(woken,), name="end of MPS", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._wake)
        self._thread.join(_JOIN_S)
        self._stack.close()

    def _open(self, pid: int) -> None:
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            self._note(pid)
        except OSError:  # an old kernel, or a sandbox that forbids it
            return
        else:
            self._stack.callback(os.close, descriptor)
            if select.select([descriptor], [], [], 0)[0]:  # it has ended, and waits for its parent
                self._note(pid)
            else:
                self._by_descriptor[descriptor] = pid

    def _watch(self, woken: int) -> None:
        poll = select.poll()
        for descriptor in (*self._by_descriptor, woken):
            poll.register(descriptor, select.POLLIN)
        heard: set[int] = set()
        while woken not in heard:
            heard = {descriptor for descriptor, _ in poll.poll()}
            for descriptor in [each for each in self._by_descriptor if each in heard]:
                poll.unregister(descriptor)
                self._note(self._by_descriptor[descriptor])

    def _note(self, pid: int) -> None:
        self.ends.append(End(name=self._names[pid], pid=pid, at_ns=time.monotonic_ns()))
