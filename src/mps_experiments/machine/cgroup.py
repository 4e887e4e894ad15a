"""Limits that a container or a service has, which the number of cores and free memory do not show."""

from collections.abc import Iterator
from pathlib import Path

_PROC, _SYS = Path("/proc"), Path("/sys")
_NO_LIMIT_BYTES = 2**60  # cgroup v1 writes a huge number where there is no limit


def cpu_limit(proc: Path = _PROC, sys: Path = _SYS) -> float | None:
    """Return how many CPU cores' worth of time this process may use; None without a limit."""
    limits = []
    for folder in _folders(proc, sys, "cpu"):
        quota, period = [*_words(folder / "cpu.max"), "", ""][:2]
        if not quota:
            quota = "".join(_words(folder / "cpu.cfs_quota_us"))
            period = "".join(_words(folder / "cpu.cfs_period_us"))
        if quota.isdecimal() and period.isdecimal() and int(period):  # else "max" or -1
            limits.append(int(quota) / int(period))
    return min(limits, default=None)


def memory_limit_bytes(proc: Path = _PROC, sys: Path = _SYS) -> int | None:
    """Return how much memory this process and its neighbours in the container may use; None: no limit."""
    limits = []
    for folder in _folders(proc, sys, "memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            text = "".join(_words(folder / name))
            if text.isdecimal() and int(text) < _NO_LIMIT_BYTES:
                limits.append(int(text))
    return min(limits, default=None)


def _folders(proc: Path, sys: Path, controller: str) -> Iterator[Path]:
    """List this process's group and all above it, of version 2 (no controller is named) and of version 1."""
    mount = sys / "fs" / "cgroup"
    try:
        lines = (proc / "self" / "cgroup").read_text().splitlines()
    except OSError:
        lines = ["0::/"]
    for line in lines:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if not controllers or controller in controllers.split(","):
            base = mount / controller if controllers else mount
            group = Path(path.lstrip("/"))
            yield from (base / each for each in (group, *group.parents))


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:  # no such controller here
        return []
