"""The cleanup process: it outlives the runner by a moment and undoes what a killed runner left.

The runner announces each change before it makes it, and withdraws the entry once it has undone the change
itself. When the pipe between the two closes, this process undoes what is left: it ends the MPS processes of a
pipe directory, removes the directory, and restores the compute mode.
"""

import contextlib
import itertools
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from mps_experiments.errors import DaemonError
from mps_experiments.mps.compute_mode import set_compute_mode
from mps_experiments.mps.processes import end_processes_of

_END_TIMEOUT_S = 2.0  # no option: no client is left to lose anything
_KILL_TIMEOUT_S = 5.0  # no option: what SIGKILL does not end is stuck in the kernel
Entry = dict[str, Any]


class Guardian:
    """The runner's side: starts the cleanup process. Leaving the block lets it finish and waits for it.

    Args:
        timeout_s: Seconds for it to put back what is left; it may have to kill a daemon and ask nvidia-smi.
    """

    def __init__(self, timeout_s: float = 60.0) -> None:
        self._timeout_s = timeout_s

    def __enter__(self) -> Self:
        self._numbers = itertools.count(1)
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C and a killed process group must not reach it
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None  # noqa: S101 - opened with PIPE
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(self._timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_KILL_TIMEOUT_S)

    @property
    def pid(self) -> int:
        return self._process.pid

    def will_remove(self, folder: Path) -> str:
        """Announce a folder: end the MPS processes of ``folder/pipe`` and remove it if the runner dies.

        Returns:
            The name of the entry, for `forget`.

        Raises:
            DaemonError: If the cleanup process is gone.
        """
        return self._add({"do": "remove", "folder": str(folder)})

    def will_restore(self, uuid: str, mode: str, timeout_s: float) -> str:
        """Announce a change of compute mode: restore `mode` on this GPU if the runner dies.

        Returns:
            The name of the entry, for `forget`.

        Raises:
            DaemonError: If the cleanup process is gone.
        """
        return self._add({"do": "restore", "uuid": uuid, "mode": mode, "timeout_s": timeout_s})

    @contextlib.contextmanager
    def covering(self, folder: Path) -> Iterator[None]:
        """Have an existing folder removed if the runner dies inside the block."""
        entry = self.will_remove(folder)
        try:
            yield
        finally:
            self.forget(entry)

    def forget(self, name: str) -> None:
        """Withdraw an entry that the runner has undone itself. No-op if the cleanup process is gone."""
        with contextlib.suppress(OSError):
            self._write({"do": "forget", "name": name})

    def _add(self, entry: Entry) -> str:
        name = str(next(self._numbers))
        try:
            self._write({**entry, "name": name})
        except OSError as error:
            raise DaemonError(
                "the cleanup process (mps.guardian) is gone, and without it nothing is started"
            ) from error
        return name

    def _write(self, entry: Entry) -> None:
        assert self._process.stdin is not None  # noqa: S101 - opened with PIPE
        self._process.stdin.write(json.dumps(entry) + "\n")
        self._process.stdin.flush()


def undo(entry: Entry) -> None:
    """Undo one entry. A failure is ignored, so that the next is tried as well."""
    if entry["do"] == "remove":
        folder = Path(entry["folder"])
        end_processes_of(folder / "pipe", _END_TIMEOUT_S)
        shutil.rmtree(folder, ignore_errors=True)
    else:
        with contextlib.suppress(DaemonError):
            set_compute_mode(entry["uuid"], entry["mode"], entry["timeout_s"])


def main() -> None:
    """Read entries until the runner is gone, then undo what is left, newest first."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    left: dict[str, Entry] = {}
    for line in sys.stdin:
        try:
            entry = json.loads(line)
        except ValueError:  # the runner died while writing it, before it made the change
            break
        if entry["do"] == "forget":
            left.pop(entry["name"], None)
        else:
            left[entry["name"]] = entry
    for entry in reversed(left.values()):
        undo(entry)


if __name__ == "__main__":
    main()
