"""Imported by the fork server before anything else: the kernel then ends it when the runner ends.

Otherwise it would notice only after importing torch, which may take ten seconds. Its own pipe would not do:
every request for a worker holds a copy of the write end, also one that is not accepted yet.
"""

import os
import signal
import sys

from mps_experiments.workers.lifeline import be_killed_when_parent_ends


def is_fork_server(command_line: list[str]) -> bool:
    """Recognise the command line of multiprocessing's fork server, ``python -c "...; main(...)"``."""
    return any("from multiprocessing.forkserver import main" in word for word in command_line)


def end_with_runner() -> None:
    """Have the kernel send SIGKILL when the parent ends; kill this process now if it has ended already.

    An orphan gets another parent, which hardly ever belongs to the same process group.
    """
    be_killed_when_parent_ends()
    if os.getpgid(os.getppid()) != os.getpgrp():
        os.kill(os.getpid(), signal.SIGKILL)


if is_fork_server(sys.orig_argv):
    end_with_runner()
