"""Files that a reader sees whole or not at all, and blocks that one process at a time is in."""

import contextlib
import fcntl
import hashlib
import itertools
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from mps_experiments.errors import RecordError

_WRITER = ".sweep.lock"  # in the folder of a sweep, or of a run on its own; it stays
_GLANCE_S = 1.0  # a reader that asks `is_written` has the lock for a moment, which is no other writer
_POLL_S = 0.05


def write_atomically(path: Path, content: bytes, *, keep_earlier: bool = False) -> None:
    """Replace a file's content at once, also through a crash of the machine.

    Args:
        path: The file.
        content: All of its new content.
        keep_earlier: Leave an earlier file there under a numbered name, once the new content is safe.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if keep_earlier:
            _keep_aside(path)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # not every file system lets a folder be synced
        descriptor = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def put_aside(path: Path) -> None:
    """Give a file that is there a numbered name instead of its own.

    Raises:
        OSError: If that cannot be done.
    """
    _keep_aside(path)
    path.unlink(missing_ok=True)


def write_or_refuse(path: Path, content: bytes, *, keep_earlier: bool = False) -> None:
    """Write a file of a run with `write_atomically`.

    Raises:
        RecordError: If it cannot be written; an earlier one is as it was.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content, keep_earlier=keep_earlier)
    except OSError as error:
        raise RecordError(f"{path} cannot be written: {error.strerror}") from error


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one process at a time into this block; the file that they agree on stays.

    Where it cannot be created, on a disk that can only be read, nobody is kept out.
    """
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            fcntl.flock(stack.enter_context(path.open("a")), fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def alone_in(folder: Path, timeout_s: float) -> Iterator[None]:
    """Let one process at a time into this block with this folder; nothing is written there.

    Raises:
        RecordError: If another one is in it for so long.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:  # it is gone, or a disk that was full never had it: then nobody else finds it either
        yield
        return
    try:
        is_alone = True
        with contextlib.suppress(OSError):  # not every file system has locks of folders
            is_alone = _lock_within(timeout_s, descriptor)
        if not is_alone:
            raise RecordError(f"{folder} has been in use by another process for {timeout_s:g} s")
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def writing_in(folder: Path) -> Iterator[bool]:
    """Create a folder and be the one writer in it until the block is left; yields False if another one is.

    The kernel frees the lock however this process dies, and none of its children has it.
    """
    with contextlib.ExitStack() as stack:
        is_alone = True
        with contextlib.suppress(OSError):  # a full disk, or one without locks: nobody is kept out
            folder.mkdir(parents=True, exist_ok=True)
            is_alone = _lock_within(_GLANCE_S, stack.enter_context((folder / _WRITER).open("a")).fileno())
        yield is_alone


def is_written(folder: Path) -> bool:
    """Say whether a process is in the block of `writing_in` for this folder; leaves nothing there."""
    try:
        with (folder / _WRITER).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # there is no such file, or it cannot be read
        return False
    return False


def _lock_within(timeout_s: float, descriptor: int) -> bool:
    """Lock an open file for this process; returns False if another has it for so long."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
        else:
            return True
        time.sleep(_POLL_S)


def digest_of_files(root: Path, files: Iterable[Path]) -> str:
    """Return the SHA-256 over names below `root` and contents, in the order of the names."""
    digest = hashlib.sha256()
    for path in sorted(files):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(root)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _keep_aside(path: Path) -> None:
    """Give an earlier file a second name that no other file has, so that it outlives its replacement."""
    if not path.exists():
        return
    for number in itertools.count(1):
        aside = path.with_name(f"{path.stem}.{number}{path.suffix}")
        try:
            aside.hardlink_to(path)  # unlike a rename it leaves no moment without `path`
        except FileExistsError:
            continue
        except OSError:  # a file system without hard links
            with contextlib.suppress(FileExistsError):
                aside.touch(exist_ok=False)  # a rename would replace what another process has put there
                try:
                    path.rename(aside)
                except OSError:
                    aside.unlink()
                    raise
                return
        else:
            return
