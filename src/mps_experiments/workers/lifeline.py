"""A worker's end when its parent ends, however that happens."""

import ctypes
import fcntl
import multiprocessing
import os
import select
import signal

_PR_SET_CHILD_SUBREAPER = 36


def die_with_parent() -> None:
    """Have the kernel kill this process as soon as its parent is gone.

    The parent holds the write end of a pipe whose read end is `parent_process().sentinel`. With O_ASYNC and
    F_SETSIG the kernel sends SIGKILL when that end closes: no thread, and it works while this process is
    stuck in a driver call. (PR_SET_PDEATHSIG would watch the fork server instead of the parent.)
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


def adopt_orphans() -> None:
    """Become the parent of descendants that lose their own: a daemon that a model starts stays in sight."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
