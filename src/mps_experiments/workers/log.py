"""Write a worker's standard output and error to a file. A full disk loses lines, not the worker."""

import errno
import io
import os
import sys
from pathlib import Path
from typing import Any

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}


class _Log(io.FileIO):
    """A file that writes what fits on the disk and counts the bytes that do not."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self.lost_bytes = 0

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            self.lost_bytes += len(data)
            return len(data)


class WorkerLog:
    """The file to which this process prints from now on, C libraries included.

    Args:
        path: The file. If there is no room to create it, the output is lost.
    """

    def __init__(self, path: str) -> None:
        self._opened = True
        try:
            descriptor = os.open(Path(path), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            self._opened = False
            descriptor = os.open(os.devnull, os.O_WRONLY)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        os.close(descriptor)
        self._files = (_Log(1), _Log(2))
        sys.stdout, sys.stderr = (
            io.TextIOWrapper(io.BufferedWriter(file), line_buffering=True) for file in self._files
        )

    @property
    def problem(self) -> str:
        """The part of the log that is missing so far, in words; empty if none is."""
        if not self._opened:
            return "could not be created: no room on the disk"
        lost = sum(file.lost_bytes for file in self._files)
        return f"{lost} bytes did not fit on the disk" if lost else ""
