"""Files that a reader sees whole or not at all, and blocks that one process at a time is in."""

import contextlib
import fcntl
import hashlib
import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from mps_experiments.errors import RecordError


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
def alone_in(folder: Path) -> Iterator[None]:
    """Let one process at a time into this block with this folder; nothing is written there."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:  # it is gone, or a disk that was full never had it: then nobody else finds it either
        yield
        return
    try:
        with contextlib.suppress(OSError):  # not every file system has locks of folders
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def digest_of_files(root: Path, files: Iterable[Path]) -> str:
    """Return the SHA-256 over names below `root` and contents, in the order of the names."""
    digest = hashlib.sha256()
    for path in sorted(files):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(root)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _keep_aside(path: Path) -> None:
    """Give an earlier file a second name, so that it outlives its replacement."""
    if not path.exists():
        return
    names = (path.with_name(f"{path.stem}.{number}{path.suffix}") for number in itertools.count(1))
    aside = next(name for name in names if not name.exists())
    try:
        aside.hardlink_to(path)  # unlike a rename it leaves no moment without `path`
    except OSError:  # a file system without hard links
        path.rename(aside)
