"""One sweep at a time on a GPU: a lock that the kernel frees when its holder is gone, however it died."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from mps_experiments.errors import ConfigError
from mps_experiments.machine import lock_file
from mps_experiments.machine.lock_file import LOCK_FOLDER, told_holder, try_to_lock

_POLL_S = 0.2


def holder_of(uuid: str, folder: Path = LOCK_FOLDER) -> str | None:
    """Say which sweep has this GPU; None if none has."""
    return lock_file.holder_of(_path(uuid, folder))


def _path(uuid: str, folder: Path) -> Path:
    return folder / f"mpsx-{uuid}.lock"


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
            os.close(self._held.popitem()[1])

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
        path = _path(uuid, self._folder)
        in_order = all(uuid > held for held in self._held)
        try:
            self._held[uuid] = self._lock(path, uuid, wait_s if in_order else 0.0)
        except OSError as error:
            why = error.strerror or str(error)
            raise ConfigError(
                "device", uuid, f"cannot be locked for this sweep ({path}: {why}); device=cpu needs no lock"
            ) from error

    def _lock(self, path: Path, uuid: str, wait_s: float) -> int:
        deadline = time.monotonic() + wait_s
        told = False
        while (descriptor := try_to_lock(path, self._command)) is None:
            if time.monotonic() >= deadline:
                waited = f" and was for {wait_s:g} s" if wait_s else ""
                raise ConfigError(
                    "device",
                    uuid,
                    f"in use{waited} by {told_holder(path)}; gpu_wait_s=3600 waits up to an hour",
                )
            if not told:
                self._say(f"waiting up to {wait_s:g} s for {uuid}, in use by {told_holder(path)}")
                told = True
            time.sleep(min(_POLL_S, max(0.0, deadline - time.monotonic())))
        return descriptor
