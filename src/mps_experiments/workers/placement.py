"""Assign CPU cores to workers: contention for cores looks just like "MPS does not help"."""

import contextlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mps_experiments.machine.topology import physical_cores

_TASKS = Path("/proc/self/task")


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Cores by rank, and those left for the parent.

    Attributes:
        workers: One tuple of core numbers per worker; an empty tuple leaves the worker unpinned.
        parent: Cores for the parent; empty leaves it unpinned.
        ring: Cores over which rotating workers move; rank N begins at place N. If there are more cores than
            workers, one is left for the parent. Empty if the workers do not move.
    """

    workers: tuple[tuple[int, ...], ...]
    parent: tuple[int, ...]
    ring: tuple[int, ...] = ()


def place(
    worker_count: int,
    usable: Iterable[int],
    near: Iterable[int] = (),
    siblings: Mapping[int, int] | None = None,
    rotating: bool = False,
) -> Placement:
    """Give each worker a core of its own, or leave all unpinned if there are too few cores.

    Cores near the GPU come first, then different physical cores, then high numbers: the kernel serves most
    interrupts on low ones. A rank has the same core whatever the worker count, so that cells compare.

    Args:
        usable: Core numbers of this sweep; `near` are those near the GPU.
        siblings: Core number -> number of its physical core; None asks the kernel.
        rotating: True if the workers move from core to core.
    """
    cores = sorted(usable, reverse=True)
    if worker_count > len(cores):
        return unpinned(worker_count)
    physical = siblings if siblings is not None else physical_cores(cores)
    first = {physical.get(core, core): core for core in reversed(cores)}.values()
    nearest = set(near)
    ordered = sorted(cores, key=lambda core: (core not in nearest, core not in first))
    taken = max(worker_count, len(ordered) - 1) if rotating else worker_count
    return Placement(
        workers=tuple((core,) for core in ordered[:worker_count]),
        parent=tuple(sorted(ordered[taken:])),
        ring=tuple(ordered[:taken]) if rotating else (),
    )


def unpinned(worker_count: int) -> Placement:
    """Return a placement that leaves every process to the kernel's scheduler."""
    return Placement(workers=((),) * worker_count, parent=())


def taking_order(
    usable: Iterable[int], near: Iterable[int] = (), siblings: Mapping[int, int] | None = None
) -> list[int]:
    """Order cores for a sweep to take: near its GPUs first, hyperthreads of one physical core together.

    If two sweeps each had one hyperthread of every physical core, they would slow each other down.
    The arguments are those of `place`.
    """
    cores, nearest = sorted(usable, reverse=True), set(near)
    physical = siblings if siblings is not None else physical_cores(cores)
    return sorted(cores, key=lambda core: (core not in nearest, -physical.get(core, core)))


def keep_off(cores: Sequence[int]) -> Callable[[], None]:
    """Move this process to the given cores, away from the workers'; return a function that moves it back.

    All of its threads move, since one may still work for the previous run. Later threads inherit the cores.
    """
    if not cores:
        return lambda: None
    before = os.sched_getaffinity(0)
    _move_all_threads(cores)
    return lambda: _move_all_threads(before)


def _move_all_threads(cores: Iterable[int]) -> None:
    moved, wanted = set[int](), set(cores)
    while left := {int(task.name) for task in _TASKS.iterdir()} - moved:  # some may have begun meanwhile
        for task in left:
            with contextlib.suppress(ProcessLookupError):  # it has ended
                os.sched_setaffinity(task, wanted)
        moved |= left
