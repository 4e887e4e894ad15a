"""Which cores share a physical core, as the kernel tells."""

import os
from pathlib import Path

import pytest

from mps_experiments.machine.topology import hyperthreads, physical_cores


def tell(folder: Path, siblings: dict[int, str]) -> None:
    for core, text in siblings.items():
        (folder / f"cpu{core}" / "topology").mkdir(parents=True)
        (folder / f"cpu{core}" / "topology" / "thread_siblings_list").write_text(text)


@pytest.mark.parametrize(
    ("siblings", "physical", "groups"),
    [
        ({0: "0,4\n", 4: "0,4\n", 1: "1\n"}, {0: 0, 4: 0, 1: 1}, ((0, 4),)),
        ({2: "2-3\n", 3: "2-3\n"}, {2: 2, 3: 2}, ((2, 3),)),
        ({0: "0\n", 1: "1\n"}, {0: 0, 1: 1}, ()),
    ],
)
def test_siblings_are_those_the_kernel_lists(
    tmp_path: Path, siblings: dict[int, str], physical: dict[int, int], groups: tuple[tuple[int, ...], ...]
) -> None:
    tell(tmp_path, siblings)
    assert physical_cores(siblings, tmp_path) == physical
    assert hyperthreads(siblings, tmp_path) == groups


def test_only_usable_cores_are_in_a_group(tmp_path: Path) -> None:
    tell(tmp_path, {4: "0,4\n"})
    assert hyperthreads([4], tmp_path) == ()


def test_where_the_kernel_does_not_tell_every_core_is_physical(tmp_path: Path) -> None:
    assert physical_cores([3, 5], tmp_path) == {3: 3, 5: 5}


def test_this_machine_tells() -> None:
    assert set(physical_cores(os.sched_getaffinity(0))) == os.sched_getaffinity(0)
