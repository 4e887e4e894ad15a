"""The end of processes that a worker started and left behind: they would load the next cell."""

import contextlib
from collections.abc import Iterable

import psutil

_SLACK_S = 2.0  # the kernel tells the boot, from which births are counted, in whole seconds


def end_descendants(pids: Iterable[int], seen_at: float, timeout_s: float) -> None:
    """Kill these processes, their workers being gone, and wait for them.

    Args:
        pids: Processes that were seen as descendants of workers.
        seen_at: Seconds since the epoch by which all had been seen: a younger process is somebody else's.
        timeout_s: Seconds for them to be gone.
    """
    killed = []
    for pid in pids:
        with contextlib.suppress(psutil.Error):  # most have ended with their worker
            process = psutil.Process(pid)
            if process.create_time() <= seen_at + _SLACK_S:
                process.kill()
                killed.append(process)
    psutil.wait_procs(killed, timeout=timeout_s)
