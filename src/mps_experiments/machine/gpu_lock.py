"""One sweep at a time on a GPU: a lock that the kernel frees when its holder is gone, however it died."""

import contextlib
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from mps_experiments.errors import ConfigError
from mps_experiments.machine.lock_file import (
    LOCK_FOLDER,
    MAX_BYTES,
    OPEN_SAFELY,
    release,
    try_to_lock,
    write_holder,
)

_POLL_S = 0.2
_MAX_SHOWN = 300  # characters of a command line


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
            release(self._held.popitem()[1])

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
        write_holder(descriptor, self._command)

    def _lock(self, path: Path, uuid: str, wait_s: float) -> int:
        deadline = time.monotonic() + wait_s
        told = False
        while (descriptor := try_to_lock(path)) is None:
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


def _holder(path: Path) -> str:
    """Who says to hold the lock; anybody may write the file, so what it says is made harmless and checked."""
    content = ""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | OPEN_SAFELY)
        with os.fdopen(descriptor, "rb") as file:
            content = file.read(MAX_BYTES).decode(errors="replace")
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
