"""The cores of a sweep are its own, whatever other sweeps on the host do.

That the end of a sweep frees its locks is tested in `test_gpu_lock`.
"""

import os
from pathlib import Path

import pytest

from mps_experiments.machine.core_locks import CoreLocks, fair_share

EIGHT = tuple(range(8))


@pytest.fixture
def affinity(monkeypatch: pytest.MonkeyPatch) -> list[set[int]]:
    """What this process, on a machine with eight cores, was bound to one after the other."""
    bound = [set(EIGHT)]
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(bound[-1]))
    monkeypatch.setattr(os, "sched_setaffinity", lambda _, cores: bound.append(set(cores)))
    return bound


def never(text: str) -> None:
    pytest.fail(text)


@pytest.mark.parametrize(
    ("usable", "own_gpus", "all_gpus", "workers", "share"),
    [
        (16, 1, 1, 8, 16),
        (32, 1, 2, 8, 16),
        (32, 2, 2, 8, 32),
        (32, 1, 2, 20, 21),
        (32, 1, 2, 40, 32),
        (2, 1, 8, 1, 2),
        (256, 1, 8, 4, 32),
        (4, 1, 0, 1, 4),
    ],
)
def test_a_share_goes_by_gpus_but_holds_the_largest_cell(
    usable: int, own_gpus: int, all_gpus: int, workers: int, share: int
) -> None:
    assert fair_share(usable, own_gpus, all_gpus, workers) == share


def test_two_sweeps_have_different_cores_and_keep_to_them(tmp_path: Path, affinity: list[set[int]]) -> None:
    with CoreLocks("first", never, tmp_path) as first, CoreLocks("second", never, tmp_path) as second:
        first.take((7, 5, 3, 1), 2)
        second.take((7, 6, 5, 4), 2)
        assert (first.own, second.own) == ((5, 7), (4, 6))
        first.take(EIGHT, 8)  # cores are taken once
        assert affinity[1:] == [{5, 7}, {4, 6}]
    assert affinity[-1] == set(EIGHT)


@pytest.mark.parametrize(("others", "own"), [(6, (6, 7)), (8, ())])
def test_fewer_than_wanted_are_taken_and_told_once(
    tmp_path: Path, affinity: list[set[int]], others: int, own: tuple[int, ...]
) -> None:
    told: list[str] = []
    with CoreLocks("first", never, tmp_path) as first, CoreLocks("second", told.append, tmp_path) as second:
        first.take(EIGHT, others)
        second.take(EIGHT, 4)
        assert (second.are_taken, second.own) == (True, own)
        assert len(affinity) == (3 if own else 2), "without a core of its own it may run anywhere"
    assert [text.partition(" CPU")[0] for text in told] == [f"only {len(own)} of 4"]


@pytest.mark.parametrize("folder", ["absent", "file"])
def test_a_place_that_cannot_be_used_refuses_nothing(
    tmp_path: Path, affinity: list[set[int]], folder: str
) -> None:
    (tmp_path / "file").touch()
    with CoreLocks("first", lambda _: None, tmp_path / folder) as locks:
        locks.take(EIGHT, 2)
        assert locks.own == ()


def test_what_is_no_lock_file_is_passed_over(tmp_path: Path, affinity: list[set[int]]) -> None:
    (tmp_path / "mpsx-core-0.lock").symlink_to(tmp_path / "precious")
    with CoreLocks("first", never, tmp_path) as locks:
        locks.take(EIGHT, 2)
        assert locks.own == (1, 2)
    assert not (tmp_path / "precious").exists()
