"""One sweep at a time on a GPU: a lock that the kernel frees when its holder is gone, however it died."""

import contextlib
import errno
import fcntl
import os
import re
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from mps_experiments.errors import ConfigError

LOCK_FOLDER = Path("/tmp")  # noqa: S108 - the same for all users and sessions, which TMPDIR is not
_POLL_S = 0.2
_MAX_BYTES = 4096
_MAX_SHOWN = 300  # characters of a command line
# Anybody may have put anything there: no link is followed, and a pipe does not block.
_OPEN = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class GpuLocks:
    """The GPUs of one sweep, locked until the block is left. No child process inherits a lock.

    Args:
        command: The sweep's command line, shown to those that find a GPU in use.
        say: Told in one line for whom this sweep waits.
        folder: Only sweeps that use the same folder see one another.
    """

    def __init__(self, command: str, say: Callable[[str], None], folder: Path = LOCK_FOLDER) -> None:
        self._command, self._say, self._folder = command, say, folder
        self._held: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        while self._held:
            descriptor = self._held.popitem()[1]
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, 0)
            os.close(descriptor)  # the file stays: else two sweeps could lock two files of one name

    def acquire(self, uuid: str, wait_s: float) -> None:
        """Lock one GPU, if this sweep has not locked it already.

        Args:
            uuid: The GPU's.
            wait_s: Seconds to wait for another sweep. Not waited for a GPU that comes before one already held
                in the order of UUIDs: two sweeps that each hold what the other wants would both wait in vain.

        Raises:
            ConfigError: If another sweep has it, or it cannot be locked.
        """
        if uuid in self._held:
            return
        path = self._folder / f"mpsx-{uuid}.lock"
        in_order = all(uuid > held for held in self._held)
        try:
            descriptor = self._lock(path, uuid, wait_s if in_order else 0.0)
        except OSError as error:
            why = error.strerror or str(error)
            raise ConfigError(
                "device", uuid, f"cannot be locked for this sweep ({path}: {why}); device=cpu needs no lock"
            ) from error
        self._held[uuid] = descriptor
        _write_holder(descriptor, self._command)

    def _lock(self, path: Path, uuid: str, wait_s: float) -> int:
        deadline = time.monotonic() + wait_s
        told = False
        while (descriptor := _try_to_lock(path)) is None:
            if time.monotonic() >= deadline:
                waited = f" and was for {wait_s:g} s" if wait_s else ""
                raise ConfigError(
                    "device", uuid, f"in use{waited} by {_holder(path)}; gpu_wait_s=3600 waits up to an hour"
                )
            if not told:
                self._say(f"waiting up to {wait_s:g} s for {uuid}, in use by {_holder(path)}")
                told = True
            time.sleep(min(_POLL_S, max(0.0, deadline - time.monotonic())))
        return descriptor


def _try_to_lock(path: Path) -> int | None:
    """A descriptor that holds the lock; None if somebody else holds it."""
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
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _OPEN, 0o666)
            os.fchmod(descriptor, 0o666)  # whatever the umask: other users lock it and write their line, too
            return descriptor


def _open_existing(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | _OPEN)
    except PermissionError:  # to be read is enough for the lock
        return os.open(path, os.O_RDONLY | _OPEN)


def _refuse_what_is_not_ours_to_write(descriptor: int) -> None:
    """A second name (a hard link) may be a file that matters, and root would write into it."""
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1 or found.st_size > _MAX_BYTES:
        raise OSError(errno.EINVAL, "it is no lock file; remove it")


def _is_still_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _write_holder(descriptor: int, command: str) -> None:
    content = f"{os.getpid()}\n{command}\n".encode(errors="replace")[:_MAX_BYTES]
    with contextlib.suppress(OSError):  # opened for reading only, or a full disk: it is locked all the same
        os.pwrite(descriptor, content, 0)
        os.ftruncate(descriptor, len(content))


def _holder(path: Path) -> str:
    """Who says to hold the lock; anybody may write the file, so what it says is made harmless and checked."""
    content = ""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | _OPEN)
        with os.fdopen(descriptor, "rb") as file:
            content = file.read(_MAX_BYTES).decode(errors="replace")
    pid, _, command = content.partition("\n")
    if not re.fullmatch("[1-9][0-9]{0,9}", pid):
        return f"another sweep, of which {path} does not tell"
    seen = "" if Path(f"/proc/{pid}").exists() else ", not to be seen from here"
    return f"another sweep, pid {pid}{seen} ({_harmless(command) or 'no command told'})"


def _harmless(text: str) -> str:
    """One line without control characters, clipped."""
    printable = "".join(char if char.isprintable() else " " for char in text)
    line = " ".join(printable.split())
    return line if len(line) <= _MAX_SHOWN else f"{line[:_MAX_SHOWN]}..."
