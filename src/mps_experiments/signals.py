"""Signals that end the program: in order, and never between a measurement and its record."""

import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType

from mps_experiments.errors import Interrupted

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass
class _Gate:
    """Whether a signal is raised at once. (A signal mask would not do: other threads take the signal.)"""

    held: bool = False
    pending: int | None = None

    def raise_pending(self) -> None:
        number, self.pending = self.pending, None
        if number is not None:
            raise Interrupted(number)


_gate = _Gate()


def catch_signals() -> None:
    """From now on the first signal raises Interrupted; the second ends the program at once.

    At once is safe: the kernel then kills the workers and the guardian ends the daemon.
    """
    seen = False

    def stop(number: int, _: FrameType | None) -> None:
        nonlocal seen
        if seen:
            os._exit(128 + number)
        seen = True
        _gate.pending = number
        if not _gate.held:
            _gate.raise_pending()

    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup stays nohup
            signal.signal(number, stop)


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """A signal that arrives in the block is raised when it is left."""
    with _held(True):
        yield
    if not _gate.held:
        _gate.raise_pending()


@contextlib.contextmanager
def let_through() -> Iterator[None]:
    """Inside `held_back`: a signal is raised in this block at once, one held back so far too."""
    with _held(False):
        _gate.raise_pending()
        yield


@contextlib.contextmanager
def _held(held: bool) -> Iterator[None]:
    before, _gate.held = _gate.held, held
    try:
        yield
    finally:
        _gate.held = before


@contextlib.contextmanager
def blocked_for_children() -> Iterator[None]:
    """A process started in the block inherits that these signals do not reach it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
