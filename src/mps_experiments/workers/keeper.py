"""A worker's keeper: its parent process, which outlives it by a moment and kills what it left behind.

The keeper is a child subreaper (prctl(2)): the worker's descendants become its children when they lose their
parent, whatever their session or group. So it finds all of them, even after `setsid` and a double fork.
It needs no message: it sees its worker's end, however the worker ends.
"""

import contextlib
import os
import resource
import signal
import sys
import time
from typing import NoReturn

import psutil

from mps_experiments.workers.lifeline import (
    adopt_orphans,
    be_killed_when_parent_ends,
    die_with_parent,
    name_process,
)

_END_TIMEOUT_S = 10.0  # no option: what survives SIGKILL is another user's process or stuck in a driver


def begin_child() -> None:
    """Begin a child process: under a keeper, deaf to Ctrl-C, and dead as soon as its parent is.

    Ctrl-C reaches the whole process group; the parent decides what becomes of its children.
    """
    under_keeper()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    die_with_parent()
    adopt_orphans()


def print_into(path: str) -> None:
    """Send what this process and its children print to a file, also what C libraries print."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", 1, closefd=False) for number in (1, 2))


def under_keeper() -> None:
    """Fork, and return in the child with all signals blocked; the parent stays as its keeper.

    SIGTERM to the keeper kills the child. The keeper ends as the child did, once all descendants are gone.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    adopt_orphans()
    keeper = os.getpid()
    child = os.fork()
    if child:
        _keep(child)
    os.setpgid(0, 0)
    be_killed_when_parent_ends()
    if os.getppid() != keeper:
        os._exit(1)


def _keep(child: int) -> NoReturn:
    os.setsid()  # signals to the runner's process group or terminal must not reach the keeper
    name_process(b"mpsx-keeper")
    # Otherwise the runner would not see the child's end of a pipe close.
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    _wait_for(child)
    with contextlib.suppress(ProcessLookupError):  # it ended before it had a group
        os.killpg(child, signal.SIGKILL)  # all at once, so that none escapes by forking
    _, status = os.waitpid(child, 0)
    _end_descendants(time.monotonic() + _END_TIMEOUT_S)
    _end_like(status)


def _wait_for(child: int) -> None:
    """Wait until the child has ended; leave it a zombie, so that no other process can get its pid."""
    while os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if signal.sigwait({signal.SIGCHLD, signal.SIGTERM}) == signal.SIGTERM:
            os.kill(child, signal.SIGKILL)


def _end_descendants(deadline: float) -> None:
    """Kill and reap descendants until none is left: each may have started another before it died."""
    while _has_children() and (left := deadline - time.monotonic()) > 0:
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):  # psutil compares start times before it signals
                process.kill()
        signal.sigtimedwait({signal.SIGCHLD}, left)


def _has_children() -> bool:
    """Reap the children that have ended; return True if others are left."""
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
