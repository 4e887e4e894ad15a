"""The wheel as somebody else installs it."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT

ASK = "import mps_experiments; print(mps_experiments.__file__)"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the contents of the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(folder), str(CHECKOUT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run(installed: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([str(installed), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_wheel_carries_the_whole_hydra_tree(installed: Path) -> None:
    ours = {path.relative_to(CHECKOUT / "conf") for path in (CHECKOUT / "conf").rglob("*.yaml")}
    theirs = installed / "mps_experiments" / "conf"
    assert {path.relative_to(theirs) for path in theirs.rglob("*.yaml")} == ours


def test_an_installed_copy_runs_a_cell_from_any_folder(installed: Path, tmp_path: Path) -> None:
    assert run(installed, tmp_path, "-c", ASK).stdout.startswith(str(installed))
    arguments = ("workload=ssdlite", "times=2", "mps=off", "device=cpu", "tracking=none")
    result = run(installed, tmp_path, "-m", "mps_experiments", *arguments)
    assert result.returncode == 0, result.stderr
    assert "VALID" in result.stdout
    assert len(list(tmp_path.glob("outputs/**/measurement.json"))) == 1
