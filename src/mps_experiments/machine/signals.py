"""End the program in order on a signal, and never between a measurement and its record."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType

from mps_experiments.errors import Interrupted

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_AGAIN_S = 0.01


@dataclass
class _Gate:
    """Holds signals back or lets them through. A signal mask would not do: other threads take the signal."""

    held: bool = False
    pending: int | None = None

    def raise_pending(self) -> None:
        number, self.pending = self.pending, None
        if number is not None:
            raise Interrupted(number)


_gate = _Gate()


def catch_signals() -> None:
    """Let the first signal raise `Interrupted` and the second end the program at once.

    Ending at once is safe: the kernel then kills the workers, and the guardian ends the daemon.
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
        if signal.getsignal(number) is not signal.SIG_IGN:  # it is under nohup, say
            signal.signal(number, stop)
    earlier = sys.unraisablehook

    def raise_again(unraisable: "sys.UnraisableHookArgs") -> None:
        """Raise `Interrupted` a moment later where Python drops it: what a destructor raises is lost."""
        if not isinstance(unraisable.exc_value, Interrupted):
            earlier(unraisable)
            return
        _gate.pending = unraisable.exc_value.signal_number
        signal.signal(signal.SIGALRM, lambda *_: None if _gate.held else _gate.raise_pending())
        signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)

    sys.unraisablehook = raise_again


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Hold signals back in the block; raise one that arrived when the block is left."""
    with _held(True):
        yield
    if not _gate.held:
        _gate.raise_pending()


@contextlib.contextmanager
def let_through() -> Iterator[None]:
    """Raise signals at once in a block inside `held_back`, first the one that was held back so far."""
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
    """Block these signals for the processes that are started in the block: they inherit the mask."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
