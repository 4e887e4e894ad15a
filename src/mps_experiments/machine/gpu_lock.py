"""One sweep at a time on a GPU: a lock that the kernel frees when its holder is gone, however it died."""

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from mps_experiments.errors import ConfigError
from mps_experiments.machine import lock_file
from mps_experiments.machine.lock_file import LOCK_FOLDER, told_holder, try_to_lock

_POLL_S = 0.2


def holder_of(uuid: str, folder: Path = LOCK_FOLDER) -> str | None:
    """Say which sweep has this GPU; None if none has."""
    return lock_file.holder_of(_path(uuid, folder))


def _path(uuid: str, folder: Path) -> Path:
    return folder / f"mpsx-{uuid}.lock"


class GpuLocks(ExitStack):
    """The GPUs of one sweep, locked until the block is left. No child process inherits a lock.

    Args:
        command: The sweep's command line, shown to those that find a GPU in use.
        say: Told in one line for whom this sweep waits.
        folder: Where the locks are; the same for all sweeps.
    """

    def __init__(self, command: str, say: Callable[[str], None], folder: Path = LOCK_FOLDER) -> None:
        super().__init__()
        self._command, self._say, self._folder = command, say, folder
        self._held: set[str] = set()

    def acquire(self, uuid: str, wait_s: float) -> None:
        """Lock one GPU, if this sweep has not locked it already.

        Args:
            uuid: The GPU's.
            wait_s: Seconds to wait for another sweep. A GPU whose UUID comes before one already held is not
                waited for: two sweeps that each hold what the other wants would both wait in vain.

        Raises:
            ConfigError: If another sweep has it, or it cannot be locked.
        """
        if uuid in self._held:
            return
        path = _path(uuid, self._folder)
        wait_s = 0.0 if any(uuid < held for held in self._held) else wait_s
        deadline, told = time.monotonic() + wait_s, False
        try:
            while (descriptor := try_to_lock(path, self._command)) is None:
                if time.monotonic() >= deadline:
                    waited = f" and was for {wait_s:g} s" if wait_s else ""
                    what = f"in use{waited} by {told_holder(path)}; gpu_wait_s=3600 waits up to an hour"
                    raise ConfigError("device", uuid, what)
                if not told:
                    self._say(f"waiting up to {wait_s:g} s for {uuid}, in use by {told_holder(path)}")
                    told = True
                time.sleep(_POLL_S)
        except OSError as error:
            what = f"cannot be locked for this sweep ({path}: {error.strerror}); device=cpu needs no lock"
            raise ConfigError("device", uuid, what) from error
        self.callback(os.close, descriptor)
        self._held.add(uuid)
