"""Limits of containers, as the two versions of cgroups tell them."""

from pathlib import Path

import pytest

from mps_experiments.machine.cgroup import cpu_limit, memory_limit_bytes


@pytest.mark.parametrize(
    ("groups", "files", "cores", "memory_bytes"),
    [
        (None, {}, None, None),
        (None, {"cpu.max": "200000 100000\n"}, 2.0, None),
        (None, {"cpu.max": "max 100000\n", "memory.max": "max\n"}, None, None),
        (
            "0::/a/b\n",  # the lowest limit of all groups above counts
            {
                "a/b/cpu.max": "800000 100000",
                "a/cpu.max": "150000 100000",
                "a/b/memory.max": "4000000000",
                "a/memory.max": "max",
                "other/cpu.max": "100 100000",
            },
            1.5,
            4 * 10**9,
        ),
        (
            "4:memory:/docker/x\n3:cpu,cpuacct:/docker/x\n",
            {
                "cpu/cpu.cfs_quota_us": "250000",
                "cpu/cpu.cfs_period_us": "100000",
                "memory/docker/x/memory.limit_in_bytes": "3000000000",
            },
            2.5,
            3 * 10**9,
        ),
        (
            "4:memory:/\n3:cpu,cpuacct:/\n",
            {
                "cpu/cpu.cfs_quota_us": "-1",
                "cpu/cpu.cfs_period_us": "100000",
                "memory/memory.limit_in_bytes": "9223372036854771712",
            },
            None,
            None,
        ),
    ],
    ids=["none", "version 2", "version 2, no limit", "groups above", "version 1", "version 1, no limit"],
)
def test_the_limits_are_those_of_the_group_and_all_above_it(
    tmp_path: Path, groups: str | None, files: dict[str, str], cores: float | None, memory_bytes: int | None
) -> None:
    proc, sys = tmp_path / "proc", tmp_path / "sys"
    if groups is not None:
        (proc / "self").mkdir(parents=True)
        (proc / "self" / "cgroup").write_text(groups)
    for name, text in files.items():
        path = sys / "fs" / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert cpu_limit(proc, sys) == cores
    assert memory_limit_bytes(proc, sys) == memory_bytes
