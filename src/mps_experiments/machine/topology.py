"""Find the CPU cores that are hyperthreads of one physical core."""

from collections.abc import Iterable
from pathlib import Path

_TOPOLOGY = Path("/sys/devices/system/cpu")


def physical_cores(cores: Iterable[int], folder: Path = _TOPOLOGY) -> dict[int, int]:
    """Map each core to the lowest core on its physical core; to itself if the kernel does not tell."""
    return {core: _physical_core(core, folder) for core in cores}


def hyperthreads(cores: Iterable[int], folder: Path = _TOPOLOGY) -> tuple[tuple[int, ...], ...]:
    """Group the cores that share a physical core; one alone on its core is in no group."""
    groups: dict[int, list[int]] = {}
    for core, physical in sorted(physical_cores(cores, folder).items()):
        groups.setdefault(physical, []).append(core)
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)


def _physical_core(core: int, folder: Path) -> int:
    try:
        text = (folder / f"cpu{core}" / "topology" / "thread_siblings_list").read_text()
    except OSError:
        return core
    return int(text.replace("-", ",").split(",")[0])
