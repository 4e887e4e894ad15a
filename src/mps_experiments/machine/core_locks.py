"""The CPU cores of one sweep, a lock for each: two sweeps on one host never pin workers to the same ones."""

import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from mps_experiments.machine.lock_file import LOCK_FOLDER, try_to_lock


def fair_share(usable: int, own_gpus: int, all_gpus: int, workers: int) -> int:
    """Return how many cores a sweep takes: by its share of the GPUs, but enough for its largest cell.

    Args:
        usable: Number of cores that it may use.
        own_gpus: Number of its GPUs.
        all_gpus: Number of GPUs of the host.
        workers: Number of workers of its largest cell; the parent has a core beside theirs.
    """
    return min(usable, max(usable * own_gpus // max(1, all_gpus), workers + 1))


class CoreLocks(contextlib.ExitStack):
    """The cores of one sweep, locked until the block is left; so long the process keeps to them.

    Args:
        command: The sweep's command line.
        say: Told in one line if there were fewer than wanted.
        folder: Where the locks are; the same for all sweeps.

    Attributes:
        usable: Cores that this process could use before.
        are_taken: True once `take` was called.
        own: Cores of this sweep; empty before `take`, and where others have all.
    """

    def __init__(self, command: str, say: Callable[[str], None], folder: Path = LOCK_FOLDER) -> None:
        super().__init__()
        self._command, self._say, self._folder = command, say, folder
        self.are_taken = False
        self.usable: tuple[int, ...] = tuple(sorted(os.sched_getaffinity(0)))
        self.own: tuple[int, ...] = ()

    def take(self, in_order: Sequence[int], wanted: int) -> None:
        """Lock as many cores as wanted, the first of `in_order` first. The second call does nothing.

        More cores for later cells would make the cells of a sweep unlike each other. A core that another
        sweep has, or whose lock file cannot be used, is passed over; no sweep is refused for want of cores.
        """
        if self.are_taken:
            return
        self.are_taken = True
        locked: list[int] = []
        for core in in_order:
            if len(locked) == wanted:
                break
            with contextlib.suppress(OSError):
                descriptor = try_to_lock(self._folder / f"mpsx-core-{core}.lock", self._command)
                if descriptor is not None:
                    self.callback(os.close, descriptor)
                    locked.append(core)
        self.own = tuple(sorted(locked))
        if len(self.own) < wanted:
            self._say(
                f"only {len(self.own)} of {wanted} CPU cores are free, other sweeps have the rest: "
                "workers that find too few share some with them"
            )
        if self.own:
            self.callback(os.sched_setaffinity, 0, self.usable)
            os.sched_setaffinity(0, self.own)  # the fork server, the daemon and their children inherit it
