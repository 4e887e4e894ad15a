"""A worker's keeper: its parent, which outlives it by a moment and ends whatever it left behind.

The keeper is a child subreaper (prctl(2)): descendants that lose their parent become its children, whatever
session or group they are in. So it finds all of them, also after `setsid` and a double fork.
Nobody has to tell it: it sees its worker's end, however the worker ends.
"""

import contextlib
import ctypes
import os
import resource
import signal
import time
from typing import NoReturn

import psutil

from mps_experiments.workers.lifeline import adopt_orphans

_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15  # linux/prctl.h
_END_TIMEOUT_S = 10.0  # no option: a process that SIGKILL does not end is another user's or stuck in a driver


def under_keeper() -> None:
    """Fork. Return in the child with all signals blocked; the parent stays as its keeper.

    SIGTERM to the keeper kills the child. The keeper ends like the child, once its descendants are gone.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    adopt_orphans()
    keeper = os.getpid()
    child = os.fork()
    if child:
        _keep(child)
    os.setpgid(0, 0)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != keeper:
        os._exit(1)


def _keep(child: int) -> NoReturn:
    os.setsid()  # what is meant for the runner's process group or terminal must not reach it
    ctypes.CDLL(None).prctl(_PR_SET_NAME, b"mpsx-keeper")
    os.closerange(
        3, os.sysconf("SC_OPEN_MAX")
    )  # else the runner would not see the child's end of a pipe close
    _wait_for(child)
    with contextlib.suppress(ProcessLookupError):  # it ended before it had a group
        os.killpg(child, signal.SIGKILL)  # at once, so that none can fork away
    _, status = os.waitpid(child, 0)
    _end_descendants(time.monotonic() + _END_TIMEOUT_S)
    _end_like(status)


def _wait_for(child: int) -> None:
    """Return when it has ended; it stays a zombie, so that nothing else can have its number."""
    while os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if signal.sigwait({signal.SIGCHLD, signal.SIGTERM}) == signal.SIGTERM:
            os.kill(child, signal.SIGKILL)


def _end_descendants(deadline: float) -> None:
    """Kill and reap until none is left: each may have started another before it died."""
    while _has_children() and (left := deadline - time.monotonic()) > 0:
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):  # psutil compares start times before it signals
                process.kill()
        signal.sigtimedwait({signal.SIGCHLD}, left)


def _has_children() -> bool:
    """Reap the children that have ended, and return whether others are left."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
        return True
    return False


def _end_like(status: int) -> NoReturn:
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with contextlib.suppress(OSError):  # SIGKILL has no handler
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os._exit(code & 0xFF)
