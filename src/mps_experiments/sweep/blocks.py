"""Order a sweep's cells: in blocks, with cells that will be compared close in time. Pure.

A block holds every cell once. Its order is random, since drift on a host (clocks, neighbours) would otherwise
always favour the same cells:

1. Cells that differ only in ``mps`` and ``procs`` form a group. Groups run one by one, in random order.
2. In a group, the cells of one number of processes run next to each other, in random order.
3. The other numbers of processes come in random order, half of them before one process and half after it:
   each is compared with one process, which is never farther away than half of the group.
4. In the first block of a sweep with repeats, one process runs twice (A/A): at the start of its group and, as
   the twin, at its end. Two equal runs are then as far apart as any two that are compared.
"""

import random
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from mps_experiments.config.schema import Config

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class Slot:
    """A cell's place in a sweep.

    Attributes:
        number: Number of the job in Hydra's order.
        group: The same text for cells that differ only in `procs`, `mps` and `block`.
        can_run: True if this machine has what the cell needs.
    """

    number: int
    block: int
    procs: int
    mps: bool
    group: str
    can_run: bool = True

    @property
    def cell(self) -> tuple[str, int, bool]:
        """Return the key of the cell, the same in all blocks."""
        return self.group, self.procs, self.mps


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One run of a cell; `is_twin` marks the second of two equal runs (A/A)."""

    slot: Slot
    is_twin: bool = False


def slot_of(number: int, config: Config, can_run: bool = True) -> Slot:
    """Return the place of the cell that Hydra counts as `number`."""
    rest = replace(config, repeat=0, procs=1, mps=replace(config.mps, enabled=True))
    return Slot(
        number=number,
        block=config.repeat,
        procs=config.procs,
        mps=config.mps.enabled,
        group=repr(rest),
        can_run=can_run,
    )


def in_blocks(slots: Sequence[Slot], seed: int, twins: Collection[Slot] = ()) -> list[Turn]:
    """Order cells block by block.

    Args:
        slots: The cells; blocks come in the order of their first cells here.
        seed: Seed of the order within each block, which does not depend on other blocks.
        twins: The cells that run twice in their block.
    """
    found: list[Turn] = []
    for block in dict.fromkeys(slot.block for slot in slots):
        draw = random.Random(f"{seed} {block}")  # noqa: S311 - an order, no secret
        found += _block([slot for slot in slots if slot.block == block], draw, twins)
    return found


def as_given(slots: Sequence[Slot], twins: Collection[Slot] = ()) -> list[Turn]:
    """Keep the order of the cells; the twins follow the last cell of their block."""
    turns = [Turn(slot=slot) for slot in slots]
    if not twins:
        return turns
    blocks = {twin.block for twin in twins}
    end = 1 + max(index for index, slot in enumerate(slots) if slot.block in blocks)
    return [*turns[:end], *(Turn(slot=twin, is_twin=True) for twin in twins), *turns[end:]]


def twins_of(slots: Sequence[Slot], repeated: bool) -> list[Slot]:
    """List the one-process cells of the first block that run twice: those that have repeats.

    With `repeated` every cell has them, because blocks are added.
    """
    first = slots[0].block if slots else 0
    again = {slot.cell for slot in slots if slot.block != first}
    return [
        slot
        for slot in slots
        if slot.block == first and slot.procs == 1 and slot.can_run and (repeated or slot.cell in again)
    ]


def another_block(slots: Iterable[Slot], block: int) -> list[Slot]:
    """Return every cell once more, with the number of a new block."""
    cells: dict[tuple[str, int, bool], Slot] = {}
    for slot in slots:
        cells.setdefault(slot.cell, slot)
    return [replace(slot, block=block) for slot in cells.values()]


def _block(slots: Sequence[Slot], draw: random.Random, twins: Collection[Slot]) -> Iterator[Turn]:
    groups = list(dict.fromkeys(slot.group for slot in slots))
    draw.shuffle(groups)
    for group in groups:
        yield from _group([slot for slot in slots if slot.group == group], draw, twins)


def _group(slots: Sequence[Slot], draw: random.Random, twins: Collection[Slot]) -> list[Turn]:
    ones = _drawn([slot for slot in slots if slot.procs == 1], draw)
    counts = _drawn(list(dict.fromkeys(slot.procs for slot in slots if slot.procs != 1)), draw)
    others = [_drawn([slot for slot in slots if slot.procs == count], draw) for count in counts]
    again = [slot for slot in ones if slot in twins]
    before = 0 if again else (len(others) + draw.randrange(2)) // 2
    ordered = [*_flat(others[:before]), *ones, *_flat(others[before:])]
    return [*(Turn(slot=slot) for slot in ordered), *(Turn(slot=slot, is_twin=True) for slot in again)]


def _drawn(values: Sequence[_T], draw: random.Random) -> list[_T]:
    return draw.sample(values, len(values))


def _flat(lists: Iterable[Iterable[_T]]) -> Iterator[_T]:
    return (each for inner in lists for each in inner)
