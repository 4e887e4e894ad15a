"""What a worker prints on a disk that is full."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import SRC
from tests.fakes.stores import mounted

PRINTS = f"""
import os, sys
sys.path.insert(0, {str(SRC)!r})
report = os.fdopen(os.dup(1), "w")
from mps_experiments.workers.log import WorkerLog
log = WorkerLog(sys.argv[1])
for _ in range(int(sys.argv[2])):
    print("x" * 999)
sys.stderr.write("to standard error\\n")
os.write(2, b"by a C library\\n") if sys.argv[2] == "1" else None
report.write(log.problem)
"""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path / "disk", "1m") as folder:
        yield folder


def problem(log: Path, lines: int) -> str:
    """Return a process's remark on its log after it has printed this many lines of 1,000 bytes."""
    done = subprocess.run(
        [sys.executable, "-c", PRINTS, str(log), str(lines)], capture_output=True, text=True, check=True
    )
    return done.stdout


def test_all_that_is_printed_is_in_the_file(disk: Path) -> None:
    assert problem(disk / "log", 1) == ""
    assert (disk / "log").read_text() == "x" * 999 + "\nto standard error\nby a C library\n"


def test_what_does_not_fit_is_counted_and_ends_nothing(disk: Path) -> None:
    said = problem(disk / "log", 2000)
    written = (disk / "log").stat().st_size
    assert 900_000 < written <= 2**20
    assert said == f"{2_000_000 + len('to standard error') + 1 - written} bytes did not fit on the disk"


def test_a_log_that_cannot_even_be_created_ends_nothing(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "1m,nr_inodes=1") as folder:  # the folder itself has it
        assert problem(folder / "log", 1) == "could not be created: no room on the disk"
