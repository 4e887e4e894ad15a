"""Survive a standard output or error that is closed, full or lacks characters, and lose no measurement.

A program that prints its last table to a full disk has measured all the same. So the first failure is
remembered, later output is dropped, and the entry point reports it once, when everything else is done.
"""

import codecs
import errno
import io
import os
import sys
from typing import Any, TextIO

EXIT_UNWRITABLE = os.EX_IOERR  # 74, as sysexits.h has it
_IN_ASCII = "in_ascii"  # name of the error handler for characters that the locale lacks
_ALIKE = {"·": "-", "±": "+/-", "×": "x", "…": "...", "→": "->", "≤": "<=", "≥": ">=", "µ": "u"}
_LINES = range(0x2500, 0x2580)  # Unicode's box drawing


class _Output(io.FileIO):
    """A descriptor that remembers its first failure and drops what is written afterwards."""

    problem: OSError | None = None

    def write(self, data: Any, /) -> int:
        """Write to the descriptor; drop the data once it has failed."""
        if self.problem is None:
            try:
                return super().write(data)
            except OSError as error:
                self.problem = error
        return len(data)


def guard_streams() -> None:
    """Make standard output and error safe to write to, whatever they lead to; once per process.

    The next file that is opened, perhaps a record or a database, would get the number of a closed descriptor,
    and all output with it. So closed descriptors are opened first.
    """
    is_there = {1: sys.stdout is not None, 2: sys.stderr is not None}  # None if it was closed at the start
    for descriptor in range(3):
        _occupy(descriptor)
    codecs.register_error(_IN_ASCII, _in_ascii)
    sys.stdout = _guarded(sys.stdout, 1 if is_there[1] else _unwritable(), _IN_ASCII)
    sys.stderr = _guarded(sys.stderr, 2 if is_there[2] else _unwritable(), "backslashreplace")


def finish_output() -> OSError | None:
    """Flush standard output; return the error that made it incomplete, if any."""
    sys.stdout.flush()
    return _problem_of(sys.stdout)


def is_closed_pipe(problem: OSError) -> bool:
    """Tell if the reader left, as `head` does, which is no failure."""
    return problem.errno == errno.EPIPE


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    """Replace characters that an encoding lacks by similar ones, so that a table stays a table."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(map(_alike, lacking)), error.end


def _alike(character: str) -> str:
    if ord(character) in _LINES:
        return "-" if character in "─━═" else "|" if character in "│┃║" else "+"
    return _ALIKE.get(character, "?")


def _problem_of(stream: TextIO) -> OSError | None:
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    return raw.problem if isinstance(raw, _Output) else None


def _guarded(stream: TextIO | None, descriptor: int, errors: str) -> TextIO:
    """Wrap a descriptor as Python does at startup, but replace characters that the locale lacks."""
    raw = _Output(descriptor, "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=getattr(stream, "encoding", None) or "utf-8",
        errors=errors,
        line_buffering=raw.isatty() or errors == "backslashreplace",
        write_through=bool(getattr(stream, "write_through", False)),
    )


def _occupy(descriptor: int) -> None:
    """Open a closed descriptor for reading only, so that writing to it still fails."""
    try:
        os.fstat(descriptor)
    except OSError:
        opened = _unwritable()
        if opened != descriptor:
            os.dup2(opened, descriptor)
            os.close(opened)


def _unwritable() -> int:
    return os.open(os.devnull, os.O_RDONLY)
