"""Note the moment at which a process of MPS ends, without polling."""

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
    """A process of MPS that ended.

    Attributes:
        name: ``daemon`` or ``server``.
        pid: Process id.
        at_ns: The moment at which its end was seen, nanoseconds of the monotonic clock.
    """

    name: str
    pid: int
    at_ns: int


class EndWatch:
    """A context manager that notes which processes end in its block. Its thread sleeps until one does.

    Without pidfd support in the kernel it notes nothing.

    Args:
        names: Name of each process by pid. Ends that are seen together are noted in this order.

    Attributes:
        ends: The processes that ended, in order of time.
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
            if select.select([descriptor], [], [], 0)[0]:  # it is a zombie
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
