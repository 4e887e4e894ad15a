"""The calls of prctl(2) that this program makes (numbers from linux/prctl.h).

The fork server imports this before anything else, so it imports next to nothing.
"""

import ctypes
import signal

_PR_SET_PDEATHSIG, _PR_SET_NAME, _PR_SET_CHILD_SUBREAPER = 1, 15, 36


def be_killed_when_parent_ends() -> None:
    """Have the kernel send SIGKILL to this process when its parent ends. Children do not inherit this."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def adopt_orphans() -> None:
    """Become the parent of descendants that lose theirs: a daemon started by a model stays in sight."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def name_process(name: bytes) -> None:
    """Set the name that ``ps`` shows for this process, at most 15 bytes."""
    ctypes.CDLL(None).prctl(_PR_SET_NAME, name)
