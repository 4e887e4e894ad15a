"""Signals that end the program: in order, and never between a measurement and its record."""

import contextlib
import os
import signal
from collections.abc import Iterator
from types import FrameType

from mps_experiments.errors import Interrupted

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


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
        raise Interrupted(number)

    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup stays nohup
            signal.signal(number, stop)


def held_back() -> contextlib.AbstractContextManager[None]:
    """Signals that arrive in the block are raised when it is left."""
    return _mask(signal.SIG_BLOCK)


def let_through() -> contextlib.AbstractContextManager[None]:
    """Inside `held_back`: signals are raised in this block at once, those held back so far too."""
    return _mask(signal.SIG_UNBLOCK)


@contextlib.contextmanager
def _mask(how: int) -> Iterator[None]:
    before = signal.pthread_sigmask(how, _ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
