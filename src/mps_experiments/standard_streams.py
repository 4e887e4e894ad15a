"""Standard output and error that may be closed, full or of a small alphabet: no reason to lose a measurement.

A program that prints its last table into a full disk has measured all the same. So the first failure is
remembered, what follows is dropped, and the entry point says so once, when everything else is done.
"""

import codecs
import errno
import io
import os
import sys
from typing import Any, TextIO

EXIT_UNWRITABLE = os.EX_IOERR  # 74, as sysexits.h has it
_IN_ASCII = "in_ascii"  # the name of what replaces a character that the locale lacks
_ALIKE = {"·": "-", "±": "+/-", "×": "x", "…": "...", "→": "->", "≤": "<=", "≥": ">=", "µ": "u"}
_LINES = range(0x2500, 0x2580)  # Unicode's box drawing


class _Output(io.FileIO):
    """A descriptor whose first failure is remembered; what is written after it is dropped."""

    problem: OSError | None = None

    def write(self, data: Any, /) -> int:
        """Write what the descriptor takes; all of it once it has failed."""
        if self.problem is None:
            try:
                return super().write(data)
            except OSError as error:
                self.problem = error
        return len(data)


def guard_streams() -> None:
    """Make standard output and error safe to write to, whatever they lead to; once per process.

    A closed descriptor is taken by the next file that is opened, a record or a database perhaps, into which
    whatever is printed would go. So closed ones are opened first.
    """
    is_there = {1: sys.stdout is not None, 2: sys.stderr is not None}  # None if it was closed at the start
    for descriptor in range(3):
        _occupy(descriptor)
    codecs.register_error(_IN_ASCII, _in_ascii)
    sys.stdout = _guarded(sys.stdout, 1 if is_there[1] else _unwritable(), _IN_ASCII)
    sys.stderr = _guarded(sys.stderr, 2 if is_there[2] else _unwritable(), "backslashreplace")


def finish_output() -> OSError | None:
    """Write what is still held back; return why standard output took less than it was given."""
    sys.stdout.flush()
    return _problem_of(sys.stdout)


def is_closed_pipe(problem: OSError) -> bool:
    """Tell whether the reader left, as `head` does, which is no mistake of anybody's."""
    return problem.errno == errno.EPIPE


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    """Replace what an encoding lacks by what looks like it, so that a table stays a table."""
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
    """Wrap a descriptor as Python does at its start; what the locale lacks is replaced."""
    raw = _Output(descriptor, "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=getattr(stream, "encoding", None) or "utf-8",
        errors=errors,
        line_buffering=raw.isatty() or errors == "backslashreplace",
        write_through=bool(getattr(stream, "write_through", False)),
    )


def _occupy(descriptor: int) -> None:
    """Open a descriptor that is closed, for reading only, so that writing to it fails as before."""
    try:
        os.fstat(descriptor)
    except OSError:
        opened = _unwritable()
        if opened != descriptor:
            os.dup2(opened, descriptor)
            os.close(opened)


def _unwritable() -> int:
    return os.open(os.devnull, os.O_RDONLY)
