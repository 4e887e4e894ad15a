"""The order of cells in blocks, and which of them run twice."""

from dataclasses import replace

import pytest

from mps_experiments.config.cells import parse
from mps_experiments.sweep.blocks import Slot, Turn, another_block, as_given, in_blocks, slot_of, twins_of

SEEDS = range(20)


def slots(*arguments: str) -> list[Slot]:
    cells = parse(["-m", *arguments]).cells
    return [slot_of(number, cell) for number, cell in enumerate(cells)]


def shown(turns: list[Turn]) -> list[tuple[int, str, int, bool]]:
    return [
        (turn.slot.block, "on" if turn.slot.mps else "off", turn.slot.procs, turn.is_twin) for turn in turns
    ]


PACKING = slots("repeat=0,1,2", "procs=1,2,4,8", "mps=off,on")


@pytest.mark.parametrize("seed", SEEDS)
def test_every_cell_runs_once_in_each_block(seed: int) -> None:
    turns = in_blocks(PACKING, seed)
    assert sorted(turn.slot.number for turn in turns) == list(range(24))
    assert [turn.slot.block for turn in turns] == [0] * 8 + [1] * 8 + [2] * 8


@pytest.mark.parametrize("seed", SEEDS)
def test_off_and_on_of_one_number_of_processes_are_next_to_each_other(seed: int) -> None:
    turns = in_blocks(PACKING, seed)
    for off, on in zip(turns[::2], turns[1::2], strict=True):
        assert off.slot.procs == on.slot.procs
        assert {off.slot.mps, on.slot.mps} == {False, True}


@pytest.mark.parametrize("seed", SEEDS)
def test_one_process_is_near_every_other_number(seed: int) -> None:
    """Of four numbers, one is in the middle: never more than one other lies between it and any."""
    counts = [turn.slot.procs for turn in in_blocks(PACKING, seed)][::2]
    for block in range(3):
        assert counts[4 * block : 4 * block + 4].index(1) in (1, 2)


def test_the_order_is_drawn_from_the_seed_for_each_block_anew() -> None:
    orders = {tuple(shown(in_blocks(PACKING, seed))) for seed in SEEDS}
    assert len(orders) == len(SEEDS)
    first, second, third = (
        [each[1:] for each in shown(in_blocks(PACKING, 0)) if each[0] == block] for block in range(3)
    )
    assert first != second != third != first


def test_the_same_seed_gives_the_same_order_on_every_machine() -> None:
    """A sweep that is resumed, by another process or on another day, goes on in the order that was drawn."""
    found = [(procs, mps) for _, mps, procs, _ in shown(in_blocks(PACKING[:8], 7))]
    assert found == [
        *((4, "off"), (4, "on"), (8, "on"), (8, "off")),
        *((1, "on"), (1, "off"), (2, "off"), (2, "on")),
    ]


def test_the_order_of_a_block_does_not_depend_on_the_others() -> None:
    alone = in_blocks([slot for slot in PACKING if slot.block == 2], 3)
    assert alone == in_blocks(PACKING, 3)[16:]


@pytest.mark.parametrize("seed", SEEDS)
def test_one_process_runs_at_the_start_and_at_the_end_of_the_first_block(seed: int) -> None:
    twins = twins_of(PACKING, repeated=False)
    turns = in_blocks(PACKING, seed, twins)
    first = shown(turns)[:10]
    assert [(procs, is_twin) for _, _, procs, is_twin in first[:2]] == [(1, False)] * 2
    assert [(procs, is_twin) for _, _, procs, is_twin in first[-2:]] == [(1, True)] * 2
    assert [mps for _, mps, _, _ in first[:2]] == [mps for _, mps, _, _ in first[-2:]]
    assert not any(turn.is_twin for turn in turns[10:])
    assert len(turns) == 26


def test_only_what_has_repeats_and_can_run_here_runs_twice() -> None:
    one_off, one_on, *_ = PACKING
    assert twins_of([one_off, one_on, replace(one_off, block=1)], repeated=False) == [one_off]
    assert twins_of([replace(one_off, can_run=False), replace(one_off, block=1)], repeated=False) == []


def test_the_order_of_the_command_line_can_be_kept() -> None:
    given = slots("procs=1,2", "repeat=0,1")
    twins = twins_of(given, repeated=False)
    assert [(t.slot.number, t.is_twin) for t in as_given(given, twins)] == [
        *((0, False), (1, False), (2, False), (0, True), (3, False))
    ]
    assert [turn.slot for turn in as_given(given)] == given


def test_another_block_has_every_cell_once_with_the_overrides_of_its_first_run() -> None:
    added = another_block(PACKING, 3)
    assert [(slot.number, slot.block) for slot in added] == [(number, 3) for number in range(8)]
    assert [slot.cell for slot in added] == [slot.cell for slot in PACKING[:8]]
