"""An older Python gets a line with what to do, not a traceback of an import."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import SRC

PRETEND = """
import runpy, sys
sys.version_info = {version}
runpy.run_module("mps_experiments.doctor", run_name="__main__", alter_sys=True)
"""


def run(tmp_path: Path, version: tuple[object, ...], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PRETEND.format(version=version), *arguments],
        cwd=tmp_path,
        env={"PYTHONPATH": str(SRC)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("version", [(3, 10, 14), (3, 8, 0)])
def test_a_python_that_is_too_old_fails_before_anything_is_imported(
    tmp_path: Path, version: tuple[int, int, int]
) -> None:
    done = run(tmp_path, version)
    assert (done.returncode, done.stderr) == (2, "")
    assert done.stdout.startswith(f"FAIL  Python  3.{version[1]} is too old\n")
    assert "-> use Python 3.11 or newer" in done.stdout


def test_this_python_goes_on(tmp_path: Path) -> None:
    done = run(tmp_path, tuple(sys.version_info), "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("usage: python -m mps_experiments.doctor")
