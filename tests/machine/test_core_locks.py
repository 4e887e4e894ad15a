"""The cores of a sweep are its own, whatever other sweeps on the host do."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mps_experiments.machine.core_locks import CoreLocks, fair_share
from tests.fakes.plans import CHECKOUT

EIGHT = tuple(range(8))
HOLD = """
import json, sys
from pathlib import Path
from mps_experiments.machine.core_locks import CoreLocks
with CoreLocks("python first.py", print, Path(sys.argv[1])) as locks:
    locks.take(locks.usable, 1)
    print(json.dumps(locks.own), flush=True)
    sys.stdin.read()
"""


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
        first.take(EIGHT, 4)
        second.take(EIGHT, 4)
        assert (first.own, second.own) == ((0, 1, 2, 3), (4, 5, 6, 7))
        assert affinity[1:] == [{0, 1, 2, 3}, {4, 5, 6, 7}]
    assert affinity[-1] == set(EIGHT)


def test_the_most_suitable_come_first_and_those_of_others_are_passed_over(
    tmp_path: Path, affinity: list[set[int]]
) -> None:
    with CoreLocks("first", never, tmp_path) as first, CoreLocks("second", never, tmp_path) as second:
        first.take((7, 5), 2)
        second.take((7, 6, 5, 4), 2)
        assert second.own == (4, 6)


def test_fewer_than_wanted_are_taken_and_told_once(tmp_path: Path, affinity: list[set[int]]) -> None:
    told: list[str] = []
    with CoreLocks("first", never, tmp_path) as first, CoreLocks("second", told.append, tmp_path) as second:
        first.take(EIGHT, 6)
        second.take(EIGHT, 4)
        assert second.own == (6, 7)
    assert told == [
        "only 2 of 4 CPU cores are free, other sweeps have the rest: "
        "workers that find too few share some with them"
    ]


def test_where_others_have_all_a_sweep_has_none_and_may_run_anywhere(
    tmp_path: Path, affinity: list[set[int]]
) -> None:
    told: list[str] = []
    with CoreLocks("first", never, tmp_path) as first, CoreLocks("second", told.append, tmp_path) as second:
        first.take(EIGHT, 8)
        before = len(affinity)
        second.take(EIGHT, 4)
        assert (second.are_taken, second.own) == (True, ())
        assert len(affinity) == before
    assert told[0].startswith("only 0 of 4 CPU cores are free")


def test_cores_are_taken_once(tmp_path: Path, affinity: list[set[int]]) -> None:
    with CoreLocks("first", never, tmp_path) as locks:
        locks.take(EIGHT, 2)
        locks.take(EIGHT, 8)
        assert locks.own == (0, 1)


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


def test_sigkill_frees_the_cores(tmp_path: Path) -> None:
    paths = f"{CHECKOUT}:{CHECKOUT / 'src'}"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path],
        env=os.environ | {"PYTHONPATH": paths},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        (core,) = json.loads(holder.stdout.readline())
        with CoreLocks("second", lambda _: None, tmp_path) as second:
            second.take((core,), 1)
            assert second.own == ()
        holder.kill()
    with CoreLocks("third", never, tmp_path) as third:
        third.take((core,), 1)
        assert third.own == (core,)
