"""Read the cgroup limits of a container or service; the number of cores and free memory do not show them."""

from collections.abc import Iterator
from pathlib import Path

_PROC, _SYS = Path("/proc"), Path("/sys")
_NO_LIMIT_BYTES = 2**60  # cgroup v1 writes a huge number where there is no limit


def cpu_limit(proc: Path = _PROC, sys: Path = _SYS) -> float | None:
    """Return the CPU quota of this process in cores, such as 2.5; None without a limit."""
    limits = []
    for folder in _folders(proc, sys, "cpu"):
        words = _words(folder / "cpu.max")
        words = words or _words(folder / "cpu.cfs_quota_us") + _words(folder / "cpu.cfs_period_us")
        if len(words) == 2 and all(word.isdecimal() for word in words):  # no limit is written as "max" or -1
            quota, period = map(int, words)
            limits.append(quota / period)
    return min(limits, default=None)


def memory_limit_bytes(proc: Path = _PROC, sys: Path = _SYS) -> int | None:
    """Return the memory that the processes of this container may use together; None without a limit."""
    limits = []
    for folder in _folders(proc, sys, "memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            text = "".join(_words(folder / name))
            if text.isdecimal() and int(text) < _NO_LIMIT_BYTES:
                limits.append(int(text))
    return min(limits, default=None)


def _folders(proc: Path, sys: Path, controller: str) -> Iterator[Path]:
    """List the folders of this process's group and of all groups above it, of cgroup versions 1 and 2.

    A line of ``/proc/self/cgroup`` is ``ID:CONTROLLERS:PATH``; version 2 names no controllers.
    """
    mount = sys / "fs" / "cgroup"
    try:
        lines = (proc / "self" / "cgroup").read_text().splitlines()
    except OSError:
        lines = ["0::/"]
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers or controller in controllers.split(","):
            base = mount / controller if controllers else mount
            group = Path(path.lstrip("/"))
            yield from (base / each for each in (group, *group.parents))


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:  # no such controller here
        return []
