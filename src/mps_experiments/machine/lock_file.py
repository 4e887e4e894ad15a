"""A lock file in a folder that all users share; the kernel frees the lock when its holder is gone."""

import contextlib
import errno
import fcntl
import os
import stat
from pathlib import Path

LOCK_FOLDER = Path("/tmp")  # noqa: S108 - the same for all users and sessions, which TMPDIR is not
MAX_BYTES = 4096
# Anybody may have put anything there: no link is followed, and a pipe does not block.
OPEN_SAFELY = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def try_to_lock(path: Path) -> int | None:
    """Return a descriptor that holds the lock, which no child process inherits; None if somebody else has it.

    Raises:
        OSError: If there is something else of that name, or the folder cannot be used.
    """
    while True:
        descriptor = _open(path)
        try:
            _refuse_what_is_not_ours_to_write(descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_still_at(path, descriptor):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # a cleaner of /tmp has removed it meanwhile


def _open(path: Path) -> int:
    """First without O_CREAT: with fs.protected_regular the kernel refuses that for another user's file."""
    while True:
        with contextlib.suppress(FileNotFoundError):
            return _open_existing(path)
        with contextlib.suppress(FileExistsError):  # another sweep was faster
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | OPEN_SAFELY, 0o666)
            os.fchmod(descriptor, 0o666)  # whatever the umask: other users lock it and write their line, too
            return descriptor


def _open_existing(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | OPEN_SAFELY)
    except PermissionError:  # to be read is enough for the lock
        return os.open(path, os.O_RDONLY | OPEN_SAFELY)


def _refuse_what_is_not_ours_to_write(descriptor: int) -> None:
    """A second name (a hard link) may be a file that matters, and root would write into it."""
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1 or found.st_size > MAX_BYTES:
        raise OSError(errno.EINVAL, "it is no lock file; remove it")


def _is_still_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def write_holder(descriptor: int, command: str) -> None:
    """Write who holds the lock, for those that find it taken."""
    content = f"{os.getpid()}\n{command}\n".encode(errors="replace")[:MAX_BYTES]
    with contextlib.suppress(OSError):  # opened for reading only, or a full disk: it is locked all the same
        os.pwrite(descriptor, content, 0)
        os.ftruncate(descriptor, len(content))


def release(descriptor: int) -> None:
    """Free a lock; the file stays, else two holders could lock two files of one name."""
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, 0)
    os.close(descriptor)
