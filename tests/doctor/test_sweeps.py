"""Another sweep on the GPU is seen, named, and not disturbed."""

import os
from pathlib import Path

import psutil
import pytest

from mps_experiments.doctor.finding import Level
from mps_experiments.doctor.roots import Roots
from mps_experiments.doctor.sweeps import sweep_findings
from mps_experiments.machine.gpu_lock import GpuLocks
from tests.doctor.conftest import H100, the_only, write


@pytest.fixture
def here(tmp_path: Path) -> Roots:
    """The locks of a test, and the kernel's own list of them."""
    return Roots(locks=tmp_path)


def test_a_gpu_that_nobody_has_locked_is_free(here: Roots) -> None:
    the_only(sweep_findings(H100, here), Level.OK)
    assert list(here.locks.iterdir()) == []


def test_the_sweep_that_holds_the_gpu_is_named_until_it_ends(here: Roots) -> None:
    with GpuLocks("python -m mps_experiments", pytest.fail, here.locks) as locks:
        locks.acquire(H100.uuid, 0.0)
        finding = the_only(sweep_findings(H100, here), Level.WARN)
        program = Path(psutil.Process().cmdline()[0]).name
        assert f"in use by pid {os.getpid()} ({program} " in finding.found
        assert "gpu_wait_s=3600" in finding.todo
    the_only(sweep_findings(H100, here), Level.OK)


def test_looking_never_keeps_a_sweep_from_its_gpu(here: Roots) -> None:
    with GpuLocks("a sweep", pytest.fail, here.locks) as locks:
        findings = sweep_findings(H100, here)
        locks.acquire(H100.uuid, 0.0)
        next(findings)
        content = (here.locks / f"mpsx-{H100.uuid}.lock").read_text()
    assert content == f"{os.getpid()}\na sweep\n"


def test_a_holder_that_cannot_be_seen_is_still_a_holder(roots: Roots) -> None:
    path = roots.locks / f"mpsx-{H100.uuid}.lock"
    path.touch()
    inode = path.stat().st_ino
    write(
        roots.proc / "locks",
        f"1: POSIX  ADVISORY  WRITE 1 fe:00:{inode} 0 EOF\n"
        f"2: FLOCK  ADVISORY  WRITE 4194305 fe:00:{inode} 0 EOF\n"
        f"2: -> FLOCK  ADVISORY  WRITE 4194306 fe:00:{inode} 0 EOF\n"
        "odd\n",
    )
    finding = the_only(sweep_findings(H100, roots), Level.WARN)
    assert finding.found == "the GPU is in use by pid 4194305 (not to be seen from here)"


def test_what_is_no_lock_file_fails(here: Roots) -> None:
    (here.locks / f"mpsx-{H100.uuid}.lock").mkdir()
    the_only(sweep_findings(H100, here), Level.FAIL)
