"""Files that a reader sees whole or not at all, and room set aside for them."""

import contextlib
import errno
import fcntl
import itertools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Self


class Reservation:
    """Room on disk for one file, taken before its content is known; leaving the block gives it back.

    The room is that of a file without a name: the kernel frees it whatever ends this process. Where the file
    system knows no such files, the room is looked for, but not held.

    Args:
        folder: Where the file will be; created.
        size: Bytes.

    Raises:
        OSError: If there is no room.
    """

    def __init__(self, folder: Path, size: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file: IO[bytes] | None = None
        try:
            self._file = os.fdopen(os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o666), "wb")
            os.posix_fallocate(self._file.fileno(), 0, size)
        except OSError as error:
            self.give_back()
            if error.errno not in _CANNOT_RESERVE:
                raise
            if shutil.disk_usage(folder).free < size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
        except BaseException:
            self.give_back()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.give_back()

    def give_back(self) -> None:
        """Let others have the room; again is allowed."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def become(self, path: Path, content: bytes) -> bool:
        """Make the room a file with this content; False if none was held. `path` must not exist.

        Raises:
            OSError: If the content is larger than the room and the disk is full.
        """
        if self._file is None:
            return False
        _fill(self._file, content)
        descriptor = self._file.fileno()
        # With src_dir_fd Python calls linkat(), which alone follows the link to a file without a name.
        os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=descriptor, follow_symlinks=True)
        self.give_back()
        return True


_CANNOT_RESERVE = {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOSYS}


def write_atomically(
    path: Path, content: bytes, *, keep_earlier: bool = False, room: Reservation | None = None
) -> None:
    """Replace a file's content at once, also through a crash of the machine.

    Args:
        path: The file.
        content: All of its new content.
        keep_earlier: Leave an earlier file there under a numbered name, once the new content is safe.
        room: What was set aside for it in the same folder.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.unlink(missing_ok=True)
        if room is None or not room.become(temporary, content):
            with temporary.open("wb") as file:
                _fill(file, content)
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


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """One process at a time is in this block; the file that they agree on stays.

    Where it cannot be created, on a disk that can only be read, nobody is kept out.
    """
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            fcntl.flock(stack.enter_context(path.open("a")), fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """One process at a time is in this block with this folder; nothing is written there."""
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


def _fill(file: IO[bytes], content: bytes) -> None:
    file.write(content)
    file.truncate()
    file.flush()
    os.fsync(file.fileno())


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
