"""Cores, memory and the rest of the machine: what is too little, and what to do about it."""

from dataclasses import replace
from pathlib import Path

import pytest

from mps_experiments.doctor.finding import Level
from mps_experiments.doctor.machine import (
    cores_finding,
    environment_finding,
    kernel_finding,
    memory_finding,
    processes_finding,
    python_finding,
    shared_memory_finding,
    system_checks,
)
from mps_experiments.doctor.roots import Roots
from tests.doctor.conftest import by_name, write
from tests.fakes.stores import fill, mounted


@pytest.mark.parametrize(("version", "level"), [((3, 10, 14), Level.FAIL), ((3, 11, 0), Level.OK)])
def test_a_python_before_3_11_fails(version: tuple[int, int, int], level: Level) -> None:
    assert python_finding(version).level is level


@pytest.mark.parametrize(
    ("system", "release", "level"),
    [
        ("linux", "6.8.0-generic", Level.OK),
        ("linux", "5.15.153.1-microsoft-standard-WSL2", Level.WARN),
        ("darwin", "23.1.0", Level.FAIL),
    ],
)
def test_mps_needs_linux_itself(system: str, release: str, level: Level) -> None:
    assert kernel_finding(system, release).level is level


@pytest.mark.parametrize(
    ("usable", "limit", "level", "found"),
    [
        (16, None, Level.OK, "16 can be used: one each for up to 15 workers"),
        (16, 16.0, Level.OK, "16 can be used"),
        (3, None, Level.OK, "3 can be used"),
        (2, None, Level.WARN, "2 can be used"),
        (1, None, Level.WARN, "1 can be used"),
        (16, 1.5, Level.WARN, "16 can be used, but a CPU limit allows the time of 1.5"),
    ],
)
def test_too_few_cores_or_a_cpu_limit_warn(
    usable: int, limit: float | None, level: Level, found: str
) -> None:
    finding = cores_finding(usable, limit)
    assert finding.level is level
    assert finding.found.startswith(found)


@pytest.mark.parametrize(
    ("available", "limit", "level", "found"),
    [
        (20 * 10**9, None, Level.OK, "20.0 GB available"),
        (20 * 10**9, 30 * 10**9, Level.OK, "20.0 GB available"),
        (3 * 10**9, None, Level.WARN, "3.0 GB available"),
        (20 * 10**9, 2 * 10**9, Level.WARN, "2.0 GB allowed by the memory limit"),
        (5 * 10**8, None, Level.FAIL, "0.5 GB available"),
    ],
)
def test_little_memory_warns_and_none_fails(
    available: int, limit: int | None, level: Level, found: str
) -> None:
    finding = memory_finding(available, limit)
    assert (finding.level, finding.found) == (level, found)


def test_shared_memory_that_is_not_there_warns(tmp_path: Path) -> None:
    finding = shared_memory_finding(tmp_path / "shm")
    assert finding.level is Level.WARN
    assert "there is no" in finding.found


def test_shared_memory_with_little_room_warns(tmp_path: Path) -> None:
    with mounted(tmp_path / "shm", "64m") as folder:
        assert shared_memory_finding(folder).level is Level.OK
        fill(folder)
        finding = shared_memory_finding(folder)
    assert finding.level is Level.WARN
    assert "--shm-size" in finding.todo


@pytest.mark.parametrize(
    ("options", "user_id", "level"),
    [
        ("rw,nosuid", 1000, Level.OK),
        ("rw,hidepid=0", 1000, Level.OK),
        ("rw,hidepid=invisible", 1000, Level.WARN),
        ("rw,hidepid=2,gid=4", 1000, Level.WARN),
        ("rw,hidepid=2", 0, Level.OK),
    ],
)
def test_hidden_processes_of_others_warn(roots: Roots, options: str, user_id: int, level: Level) -> None:
    write(roots.proc / "self/mounts", f"/dev/vda / ext4 rw 0 0\nproc /proc proc {options} 0 0\nodd\n")
    assert processes_finding(roots, user_id).level is level


def test_variables_that_slow_workers_warn_by_name() -> None:
    assert environment_finding({"PATH": "/bin", "CUDA_LAUNCH_BLOCKING": "0"}).level is Level.OK
    finding = environment_finding({"CUDA_LAUNCH_BLOCKING": "1", "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": "50"})
    assert finding.level is Level.WARN
    assert finding.found == "CUDA_LAUNCH_BLOCKING=1"


def test_variables_that_no_worker_gets_are_named_without_a_warning() -> None:
    finding = environment_finding({"CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": "50"})
    assert finding.level is Level.OK
    assert "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE=50 of the shell is not passed on" in finding.found


def test_this_machine_has_a_line_for_each() -> None:
    found = by_name(tuple(each for check in system_checks(Roots()) for each in check.findings()))
    names = ["Python", "system", "cores", "memory", "shared memory", "processes", "environment"]
    assert list(found) == names
    assert not [each for each in found.values() if "cannot be looked at" in each.found]


def test_a_proc_that_cannot_be_read_costs_only_the_lines_that_need_it(roots: Roots) -> None:
    unreadable = replace(Roots(), proc=roots.proc)
    found = by_name(tuple(each for check in system_checks(unreadable) for each in check.findings()))
    broken = {name for name, each in found.items() if "cannot be looked at" in each.found}
    assert broken == {"system", "processes"}
    assert {found[name].level for name in broken} == {Level.WARN}
