"""Limits of containers, as the two versions of cgroups tell them."""

import pytest

from mps_experiments.doctor.cgroup import cpu_limit, memory_limit_bytes
from mps_experiments.doctor.roots import Roots
from tests.doctor.conftest import write


def test_without_cgroups_there_is_no_limit(roots: Roots) -> None:
    assert cpu_limit(roots) is None
    assert memory_limit_bytes(roots) is None


@pytest.mark.parametrize(("text", "cores"), [("200000 100000\n", 2.0), ("max 100000\n", None), ("", None)])
def test_version_2_tells_a_quota_and_a_period(roots: Roots, text: str, cores: float | None) -> None:
    write(roots.sys / "fs/cgroup/cpu.max", text)
    assert cpu_limit(roots) == cores


def test_the_lowest_limit_of_all_groups_above_counts(roots: Roots) -> None:
    write(roots.proc / "self/cgroup", "0::/a/b\n")
    write(roots.sys / "fs/cgroup/a/b/cpu.max", "800000 100000")
    write(roots.sys / "fs/cgroup/a/cpu.max", "150000 100000")
    write(roots.sys / "fs/cgroup/a/b/memory.max", "4000000000")
    write(roots.sys / "fs/cgroup/a/memory.max", "max")
    write(roots.sys / "fs/cgroup/other/cpu.max", "100 100000")
    assert cpu_limit(roots) == 1.5
    assert memory_limit_bytes(roots) == 4 * 10**9


def test_version_1_has_a_folder_for_each_controller(roots: Roots) -> None:
    write(roots.proc / "self/cgroup", "4:memory:/docker/x\n3:cpu,cpuacct:/docker/x\n")
    write(roots.sys / "fs/cgroup/cpu/cpu.cfs_quota_us", "250000")
    write(roots.sys / "fs/cgroup/cpu/cpu.cfs_period_us", "100000")
    write(roots.sys / "fs/cgroup/memory/docker/x/memory.limit_in_bytes", "3000000000")
    assert cpu_limit(roots) == 2.5
    assert memory_limit_bytes(roots) == 3 * 10**9


def test_what_version_1_writes_for_no_limit_is_none(roots: Roots) -> None:
    write(roots.proc / "self/cgroup", "4:memory:/\n3:cpu,cpuacct:/\n")
    write(roots.sys / "fs/cgroup/cpu/cpu.cfs_quota_us", "-1")
    write(roots.sys / "fs/cgroup/cpu/cpu.cfs_period_us", "100000")
    write(roots.sys / "fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712")
    assert cpu_limit(roots) is None
    assert memory_limit_bytes(roots) is None
