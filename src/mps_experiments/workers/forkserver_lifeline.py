"""Imported by the fork server before anything else: from then on the kernel ends it with the runner.

Left alone it learns that the runner is gone only once it has imported torch, which may take ten seconds. Its
own pipe would not do: the write end travels in every request for a worker, also in one not yet accepted.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h; a worker that it forks does not inherit this


def is_fork_server(command_line: list[str]) -> bool:
    """Whether this is how multiprocessing starts its fork server: ``python -c "...; main(...)"``."""
    return any("from multiprocessing.forkserver import main" in word for word in command_line)


def end_with_runner() -> None:
    """Have the kernel send SIGKILL when the parent ends; at once if it has ended already.

    A process that lost its parent has another one, which is hardly ever of the same process group.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getpgid(os.getppid()) != os.getpgrp():
        os.kill(os.getpid(), signal.SIGKILL)


if is_fork_server(sys.orig_argv):
    end_with_runner()
