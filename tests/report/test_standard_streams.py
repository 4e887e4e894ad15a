"""Standard output that is closed, full, left by its reader or of a small alphabet, in real processes."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mps_experiments.record.measurement import read_measurement
from tests.conftest import COMMAND_TIMEOUT_S, SRC

FULL = "mps_experiments: standard output cannot be written (No space left on device)\n"
CLOSED = FULL.replace("No space left on device", "Bad file descriptor")
ENTRIES = ["", ".report", ".doctor", ".replay", ".sync", ".export"]
SWEEP = ["-m", "workload=custom", "workload.factory=users:build", "device=cpu", "procs=1,2", "mps=off"]
SWEEP += ["times=5", "tracking=none"]
FACTORY = "def build(device, options):\n    return (lambda x: x), 1\n"
PRINTS = """
import sys
from mps_experiments.report.command_line import run_and_exit
def main():
    sys.stdout.write({text!r})
    return {code}
run_and_exit(main)
"""
OPENS = """
import errno, os, sys
from mps_experiments.report.command_line import run_and_exit
def main():
    with open("record", "wb"):
        try:
            os.write(1, b"printed")
        except OSError as error:
            return error.errno
run_and_exit(main)
"""


def finished(
    command: list[str], folder: Path, how: str = "", stdout: int = subprocess.PIPE, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command from a shell that redirects its output by `how`, in Bash's syntax."""
    return subprocess.run(
        ["bash", "-c", f'"$@" {how}', "bash", sys.executable, *command],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": f"{SRC}:{folder}"} | environment,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=COMMAND_TIMEOUT_S,
        check=False,
    )


@pytest.fixture
def reader_left() -> Iterator[int]:
    """Yield a pipe that nobody reads any more, as after `| head -1`."""
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


@pytest.mark.parametrize(
    ("entry", "how", "said"),
    [*((entry, ">/dev/full", FULL) for entry in ENTRIES), (".report", ">&-", CLOSED)],
)
def test_every_command_says_in_one_line_that_it_cannot_print(
    tmp_path: Path, entry: str, how: str, said: str
) -> None:
    done = finished(["-m", f"mps_experiments{entry}", "--help"], tmp_path, how)
    assert (done.returncode, done.stderr) == (74, said)
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_left_is_told_nothing(tmp_path: Path, reader_left: int) -> None:
    done = finished(["-m", "mps_experiments.report", "--help"], tmp_path, stdout=reader_left)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize(("how", "code", "said"), [(">/dev/full", 74, FULL), (">&- 2>&-", 74, "")])
def test_a_sweep_that_cannot_print_measures_all_the_same(
    tmp_path: Path, how: str, code: int, said: str
) -> None:
    (tmp_path / "users.py").write_text(FACTORY)
    done = finished(["-m", "mps_experiments", *SWEEP], tmp_path, how)
    assert (done.returncode, done.stderr) == (code, said)
    records = [read_measurement(path) for path in (tmp_path / "outputs").rglob("measurement.json")]
    assert sorted(record.cell.procs for record in records) == [1, 2]
    assert len(list((tmp_path / "outputs").rglob("report.html"))) == 1


def test_a_failure_keeps_its_code(tmp_path: Path, reader_left: int) -> None:
    script = ["-c", PRINTS.format(text="x", code=1)]
    assert finished(script, tmp_path, ">/dev/full").returncode == 1
    assert finished(script, tmp_path, stdout=reader_left).returncode == 1


@pytest.mark.parametrize("how", [">/dev/full 2>/dev/full", ">&- 2>&- <&-"])
def test_a_standard_error_that_cannot_be_written_either_changes_nothing(tmp_path: Path, how: str) -> None:
    assert finished(["-c", PRINTS.format(text="x", code=0)], tmp_path, how).returncode == 74
    assert finished(["-m", "mps_experiments.report", "missing"], tmp_path, how).returncode == 2


def test_nothing_that_is_opened_later_takes_the_place_of_a_closed_output(tmp_path: Path) -> None:
    done = finished(["-c", OPENS], tmp_path, ">&-")
    assert (done.returncode, done.stderr) == (9, "")
    assert (tmp_path / "record").read_bytes() == b""


@pytest.mark.parametrize(
    ("encoding", "printed"),
    [
        ("ascii", b"+---+ |1 - 2 +/- 3 x|... ? ?"),
        ("latin-1", "+---+ |1 · 2 ± 3 ×|... é ?".encode("latin-1")),
        ("utf-8", "┌───┐ │1 · 2 ± 3 ×│… é 猫".encode()),
    ],
)
def test_what_a_terminal_cannot_show_is_shown_by_what_looks_like_it(
    tmp_path: Path, encoding: str, printed: bytes
) -> None:
    text = "┌───┐ │1 · 2 ± 3 ×│… é 猫"
    done = finished(
        ["-c", PRINTS.format(text=text, code=0)], tmp_path, "> printed", PYTHONIOENCODING=encoding
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "printed").read_bytes() == printed
