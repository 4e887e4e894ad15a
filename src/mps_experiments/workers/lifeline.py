"""End a process when its parent ends, however that happens, and keep its descendants in sight.

The fork server imports this before anything else, so it imports next to nothing.
"""

import ctypes
import fcntl
import multiprocessing
import os
import select
import signal

_PR_SET_PDEATHSIG, _PR_SET_NAME, _PR_SET_CHILD_SUBREAPER = 1, 15, 36  # linux/prctl.h


def die_with_parent() -> None:
    """Have the kernel kill this process as soon as the process that started it by multiprocessing is gone.

    That parent holds the write end of a pipe whose read end is `parent_process().sentinel`. With O_ASYNC and
    F_SETSIG the kernel sends SIGKILL when the write end closes. That needs no thread and works even while
    this process is stuck in a driver call. (PR_SET_PDEATHSIG would watch the fork server instead.)
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    pipe = parent.sentinel
    fcntl.fcntl(pipe, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(pipe, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | os.O_ASYNC)
    already_closed, _, _ = select.select([pipe], [], [], 0)
    if already_closed:
        os.kill(os.getpid(), signal.SIGKILL)


def be_killed_when_parent_ends() -> None:
    """Have the kernel send SIGKILL to this process when its parent ends. Children do not inherit this."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def adopt_orphans() -> None:
    """Become the parent of descendants that lose theirs: a daemon started by a model stays in sight."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def name_process(name: bytes) -> None:
    """Set the name that ``ps`` shows for this process, at most 15 bytes."""
    ctypes.CDLL(None).prctl(_PR_SET_NAME, name)
