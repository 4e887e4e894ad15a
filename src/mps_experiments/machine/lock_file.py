"""A lock file in a folder that all users share; the kernel frees the lock when its holder is gone.

`filelock` does not serve: in a sticky folder such as /tmp it refuses the file that another user has made,
and its file says nothing about who holds the lock.
"""

import contextlib
import fcntl
import os
from pathlib import Path

LOCK_FOLDER = Path("/tmp")  # noqa: S108 - the same for all users and sessions, which TMPDIR is not
_MAX_BYTES = 4096
_MAX_SHOWN = 300  # characters of a command line
_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC  # anybody may put a link there; no child holds the lock


def try_to_lock(path: Path, command: str) -> int | None:
    """Return a descriptor that holds the lock; None if somebody else has it. The file stays for ever.

    It holds the command, for those that find it taken.

    Raises:
        OSError: If there is something else of that name, or the folder cannot be used.
    """
    while True:
        descriptor = _open(path)
        if not _lock(descriptor, fcntl.LOCK_EX):
            return None
        if os.fstat(descriptor).st_nlink:
            break
        os.close(descriptor)  # a cleaner of /tmp has removed it meanwhile
    content = f"{os.getpid()}\n{command}\n".encode(errors="replace")[:_MAX_BYTES]
    with contextlib.suppress(OSError):  # a full disk: it is locked all the same
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, content, 0)
    return descriptor


def holder_of(path: Path) -> str | None:
    """Say who holds the lock; None if nobody does. Creates nothing, and has the lock for a moment at most.

    Raises:
        OSError: If there is something else of that name.
    """
    try:
        descriptor = os.open(path, _FLAGS)
    except FileNotFoundError:
        return None
    if not _lock(descriptor, fcntl.LOCK_SH):
        return told_holder(path)
    os.close(descriptor)
    return None


def told_holder(path: Path) -> str:
    """Return what the file says of its holder, made harmless: anybody may write it."""
    content = b""
    with contextlib.suppress(OSError), open(os.open(path, _FLAGS), "rb") as file:  # noqa: PTH123
        content = file.read(_MAX_BYTES)
    pid, _, command = content.decode(errors="replace").partition("\n")
    if not (pid.isascii() and pid.isdecimal()):
        return f"another sweep (owner unknown; see {path})"
    words = "".join(char if char.isprintable() else " " for char in command).split()
    return f"another sweep, pid {pid[:10]} ({' '.join(words)[:_MAX_SHOWN] or 'no command told'})"


def _open(path: Path) -> int:
    try:
        descriptor = os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:  # without O_CREAT: the kernel refuses that for another user's file in /tmp
        return os.open(path, _FLAGS)
    os.fchmod(descriptor, 0o666)  # whatever the umask: other users lock it and write their line, too
    return descriptor


def _lock(descriptor: int, kind: int) -> bool:
    """Lock without waiting; closes the descriptor if that fails."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return False
    return True
