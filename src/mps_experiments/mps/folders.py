"""The private folders of runners: each is locked while its runner lives and removed afterwards.

The guardian removes the folder of a runner that was killed. If the guardian died too (SIGKILL of both, loss
of power), the next sweep of the same user removes the folder: its lock is free.
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
_MAX_PARENT_BYTES = 60  # leaves room for a socket below it: its path may have 106 bytes
_BEING_MADE_S = 60.0  # a runner locks its folder microseconds after making it


def parent_folder() -> Path:
    """Return the parent of private folders: TMPDIR, unless a socket's path below it would be too long."""
    parent = Path(tempfile.gettempdir())
    if len(os.fsencode(parent)) > _MAX_PARENT_BYTES:
        return Path("/tmp")  # noqa: S108 - the folder in it is private and new
    return parent


@contextlib.contextmanager
def private_folder(guardian: Guardian) -> Iterator[Path]:
    """Make a short private folder (0700), announced to the guardian first and locked in the block.

    Raises:
        OSError: If it cannot be made.
    """
    folder = parent_folder() / f"{_PREFIX}{secrets.token_hex(6)}"
    entry = guardian.will_remove(folder)
    try:
        folder.mkdir(mode=0o700)
    except FileNotFoundError as error:
        guardian.forget(entry)
        what = (
            "is gone: no worker can be started; repeat the command with resume=true and a folder that stays"
        )
        raise FileNotFoundError(f"TMPDIR={folder.parent} {what}") from error
    # No child inherits the lock, so it is free once this process is dead.
    lock = os.open(folder / f".{LOCK_NAME}", os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        _lock(lock, folder)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)
        guardian.forget(entry)


def _lock(lock: int, folder: Path) -> None:
    """Lock the file, write it, then rename it, so that no reader sees it unlocked or partial."""
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.write(lock, _pid_namespace().encode())
    (folder / f".{LOCK_NAME}").rename(folder / LOCK_NAME)


def remove_stale_folders(parent: Path, timeout_s: float) -> Iterator[Path]:
    """Remove the private folders of this user's dead runners, and end their MPS processes first.

    Args:
        parent: The folder that holds them.
        timeout_s: Seconds for MPS processes to end after SIGTERM, and again after SIGKILL.

    Yields:
        Each folder that was removed.
    """
    for folder in sorted(parent.iterdir()):
        with contextlib.suppress(OSError), _if_stale(folder) as stale:
            if stale:
                end_processes_of(folder / "pipe", timeout_s)
                shutil.rmtree(folder)
                yield folder


@contextlib.contextmanager
def _if_stale(folder: Path) -> Iterator[bool]:
    """Yield whether the folder's runner is dead. If so, hold its lock in the block."""
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
    """Return whether the lock is free and of this pid namespace: a daemon in another one cannot be seen."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return os.pread(descriptor, 100, 0) == _pid_namespace().encode()


def _pid_namespace() -> str:
    with contextlib.suppress(OSError):  # a sandbox may hide it
        return Path("/proc/self/ns/pid").readlink().name
    return "unknown"
