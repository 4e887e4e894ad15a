"""Which cores share a physical core, as the kernel tells."""

import os
from pathlib import Path

import pytest

from mps_experiments.machine.topology import hyperthreads, physical_cores


@pytest.mark.parametrize(
    ("siblings", "physical", "groups"),
    [
        ({0: "0,4\n", 4: "0,4\n", 1: "1\n"}, {0: 0, 4: 0, 1: 1}, ((0, 4),)),
        ({2: "2-3\n", 3: "2-3\n"}, {2: 2, 3: 2}, ((2, 3),)),
        ({4: "0,4\n"}, {4: 0}, ()),  # core 0 is not usable
        ({3: None, 5: None}, {3: 3, 5: 5}, ()),  # the kernel does not tell
    ],
)
def test_siblings_are_those_the_kernel_lists(
    tmp_path: Path,
    siblings: dict[int, str | None],
    physical: dict[int, int],
    groups: tuple[tuple[int, ...], ...],
) -> None:
    for core, text in siblings.items():
        (tmp_path / f"cpu{core}" / "topology").mkdir(parents=True)
        if text is not None:
            (tmp_path / f"cpu{core}" / "topology" / "thread_siblings_list").write_text(text)
    assert physical_cores(siblings, tmp_path) == physical
    assert hyperthreads(siblings, tmp_path) == groups


def test_this_machine_tells() -> None:
    assert set(physical_cores(os.sched_getaffinity(0))) == os.sched_getaffinity(0)
