"""End a worker when its parent ends, however that happens."""

import fcntl
import multiprocessing
import os
import select
import signal


def die_with_parent() -> None:
    """Have the kernel kill this process as soon as its parent is gone.

    The parent holds the write end of a pipe whose read end is `parent_process().sentinel`. With O_ASYNC and
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
