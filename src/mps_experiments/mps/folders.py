"""The private folders of runners: made, locked for as long as the runner lives, removed after a dead one.

The guardian removes the folder of a runner that was killed. What is left where the guardian died too (SIGKILL
of both, loss of power) is removed by the next sweep of the same user: a folder whose lock is free.
"""

import contextlib
import fcntl
import os
import re
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from mps_experiments.mps.guardian import Guardian
from mps_experiments.mps.processes import end_processes_of

LOCK_NAME = "runner.lock"
_PREFIX = "mpsx-"
_NAME = re.compile(_PREFIX + "[0-9a-f]{12}")
_MAX_PARENT_BYTES = 60  # a socket's path below it may have 106 bytes
_BEING_MADE_S = 60.0  # a runner needs microseconds from making the folder to locking it


def parent_folder() -> Path:
    """Where private folders are made: TMPDIR, unless sockets below it would have too long a path."""
    parent = Path(tempfile.gettempdir())
    if len(os.fsencode(parent)) > _MAX_PARENT_BYTES:
        return Path("/tmp")  # noqa: S108 - the folder in it is private and new
    return parent


@contextlib.contextmanager
def private_folder(guardian: Guardian) -> Iterator[Path]:
    """A short folder, 0700, announced to the guardian before it exists and locked while it does."""
    folder = parent_folder() / f"{_PREFIX}{secrets.token_hex(6)}"
    entry = guardian.will_remove(folder)
    folder.mkdir(mode=0o700)
    # No child process inherits the lock, nor does the daemon: it is free when this process is dead.
    lock = os.open(folder / f".{LOCK_NAME}", os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        _lock(lock, folder)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)
        guardian.forget(entry)


def _lock(lock: int, folder: Path) -> None:
    """The file gets its name only once it is locked and whole."""
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.write(lock, _pid_namespace().encode())
    (folder / f".{LOCK_NAME}").rename(folder / LOCK_NAME)


def remove_stale_folders(parent: Path, timeout_s: float) -> Iterator[Path]:
    """Remove what this user's dead runners left in a folder, their MPS processes first; yields each removed.

    Args:
        parent: Where to look.
        timeout_s: Seconds for MPS processes to end after SIGTERM, and again after SIGKILL.
    """
    for folder in sorted(parent.iterdir()):
        with contextlib.suppress(OSError), _if_stale(folder) as stale:
            if stale:
                end_processes_of(folder / "pipe", timeout_s)
                shutil.rmtree(folder)
                yield folder


@contextlib.contextmanager
def _if_stale(folder: Path) -> Iterator[bool]:
    """Whether the folder's runner is dead; if so, its lock is held in the block."""
    found = folder.lstat()
    ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077
    if not _NAME.fullmatch(folder.name) or not ours:
        yield False
        return
    try:
        descriptor = os.open(folder / LOCK_NAME, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        yield time.time() - found.st_mtime > _BEING_MADE_S
        return
    try:
        yield _runner_is_dead(descriptor)
    finally:
        os.close(descriptor)


def _runner_is_dead(descriptor: int) -> bool:
    """Its lock is free, and its daemon would be visible from here: not in another container's namespace."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return os.pread(descriptor, 100, 0) == _pid_namespace().encode()


def _pid_namespace() -> str:
    with contextlib.suppress(OSError):  # a sandbox may not show it
        return Path("/proc/self/ns/pid").readlink().name
    return "unknown"
