"""Limits of containers, as the two versions of cgroups tell them."""

from pathlib import Path

import pytest

from mps_experiments.machine.cgroup import cpu_limit, memory_limit_bytes


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    return tmp_path / "proc"


@pytest.fixture
def sys(tmp_path: Path) -> Path:
    return tmp_path / "sys"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_without_cgroups_there_is_no_limit(proc: Path, sys: Path) -> None:
    assert cpu_limit(proc, sys) is None
    assert memory_limit_bytes(proc, sys) is None


@pytest.mark.parametrize(("text", "cores"), [("200000 100000\n", 2.0), ("max 100000\n", None), ("", None)])
def test_version_2_tells_a_quota_and_a_period(proc: Path, sys: Path, text: str, cores: float | None) -> None:
    write(sys / "fs/cgroup/cpu.max", text)
    assert cpu_limit(proc, sys) == cores


def test_the_lowest_limit_of_all_groups_above_counts(proc: Path, sys: Path) -> None:
    write(proc / "self/cgroup", "0::/a/b\n")
    write(sys / "fs/cgroup/a/b/cpu.max", "800000 100000")
    write(sys / "fs/cgroup/a/cpu.max", "150000 100000")
    write(sys / "fs/cgroup/a/b/memory.max", "4000000000")
    write(sys / "fs/cgroup/a/memory.max", "max")
    write(sys / "fs/cgroup/other/cpu.max", "100 100000")
    assert cpu_limit(proc, sys) == 1.5
    assert memory_limit_bytes(proc, sys) == 4 * 10**9


def test_version_1_has_a_folder_for_each_controller(proc: Path, sys: Path) -> None:
    write(proc / "self/cgroup", "4:memory:/docker/x\n3:cpu,cpuacct:/docker/x\n")
    write(sys / "fs/cgroup/cpu/cpu.cfs_quota_us", "250000")
    write(sys / "fs/cgroup/cpu/cpu.cfs_period_us", "100000")
    write(sys / "fs/cgroup/memory/docker/x/memory.limit_in_bytes", "3000000000")
    assert cpu_limit(proc, sys) == 2.5
    assert memory_limit_bytes(proc, sys) == 3 * 10**9


def test_what_version_1_writes_for_no_limit_is_none(proc: Path, sys: Path) -> None:
    write(proc / "self/cgroup", "4:memory:/\n3:cpu,cpuacct:/\n")
    write(sys / "fs/cgroup/cpu/cpu.cfs_quota_us", "-1")
    write(sys / "fs/cgroup/cpu/cpu.cfs_period_us", "100000")
    write(sys / "fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712")
    assert cpu_limit(proc, sys) is None
    assert memory_limit_bytes(proc, sys) is None
