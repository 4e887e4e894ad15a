"""Which CPU cores each worker gets: contention for cores looks just like "MPS does not help"."""

import contextlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mps_experiments.machine.topology import physical_cores

_TASKS = Path("/proc/self/task")


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Cores by rank, and what is left for the parent.

    Attributes:
        workers: One tuple of core numbers per worker; an empty tuple leaves the worker unpinned.
        parent: Cores for the parent; empty leaves it unpinned.
        ring: Cores over which rotating workers move, rank N beginning with core N of it: all but one that is
            left for the parent, where there are more than workers. Empty if the workers stay where they are.
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
    """One core per worker; unpinned where there are not enough.

    Cores near the GPU come first, then different physical cores, then high numbers: the kernel serves most
    interrupts on the low ones. A rank gets the same core whatever the worker count, so that cells compare.

    Args:
        worker_count: Number of workers.
        usable: Core numbers of this sweep.
        near: Core numbers near the GPU.
        siblings: Core number -> number of its physical core; None asks the kernel.
        rotating: Whether the workers move on from core to core.
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
    """Leave every process where the kernel puts it."""
    return Placement(workers=((),) * worker_count, parent=())


def taking_order(
    usable: Iterable[int], near: Iterable[int] = (), siblings: Mapping[int, int] | None = None
) -> list[int]:
    """Order cores for a sweep to take: near its GPUs first, hyperthreads of one physical core together.

    Two sweeps that each had one hyperthread of every physical core would slow each other down.

    Args:
        usable: As for `place`.
        near: As for `place`, of all GPUs of the sweep.
        siblings: As for `place`.
    """
    cores, nearest = sorted(usable, reverse=True), set(near)
    physical = siblings if siblings is not None else physical_cores(cores)
    return sorted(cores, key=lambda core: (core not in nearest, -physical.get(core, core)))


def keep_off(cores: Sequence[int]) -> Callable[[], None]:
    """Move this process to the given cores, away from the workers'; returns what undoes it.

    All of its threads move: one may be at work for the run before. Those that come later inherit it.
    """
    before = os.sched_getaffinity(0)
    if cores:
        _move_all_threads(cores)
    return lambda: _move_all_threads(before) if cores else None


def _move_all_threads(cores: Iterable[int]) -> None:
    moved, wanted = set[int](), set(cores)
    while left := {int(task.name) for task in _TASKS.iterdir()} - moved:  # some may have begun meanwhile
        for task in left:
            with contextlib.suppress(ProcessLookupError):  # it has ended
                os.sched_setaffinity(task, wanted)
        moved |= left
