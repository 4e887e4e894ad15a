"""What is refused before anything is started, and what a refusal leaves behind."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mps_experiments.config import Config, StartMethod, WorkloadKind
from mps_experiments.errors import ConfigError
from mps_experiments.preflight import check_output_dir, names_to_preload
from tests.conftest import SRC
from tests.planned import planned

TINY_DISK = """
import resource, sys
from mps_experiments.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))  # the kernel refuses to write more into a file
sys.exit(main())
"""


def test_the_output_folder_is_created_and_left_empty(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    assert check_output_dir(Config(output_dir=str(folder))) == folder
    assert list(folder.iterdir()) == []


def test_a_relative_output_folder_is_below_the_current_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert check_output_dir(Config(output_dir="out")) == tmp_path / "out"


@pytest.mark.parametrize("name", ["file", "file/below", "~nobody-has-this-name/out"])
def test_an_output_folder_that_cannot_be_written_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=f"output_dir={name}: cannot be written .*; name a folder of yours"):
        check_output_dir(Config(output_dir=name))


def test_too_little_space_is_refused_with_both_numbers(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"has \d+ MB of free space, less than min_free_disk_mb=1000000000"):
        check_output_dir(Config(output_dir=str(tmp_path), min_free_disk_mb=10**9))


def test_on_a_full_disk_the_command_ends_with_2_and_one_line_and_leaves_no_file(tmp_path: Path) -> None:
    paths = [str(SRC), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-c", TINY_DISK, "-m", "workload=ssdlite", "procs=1,2", "device=cpu"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        "mps_experiments: output_dir=outputs: cannot be written (File too large); name a folder of yours\n"
    )
    assert [path.name for path in tmp_path.rglob("*")] == ["outputs"]


def test_the_fork_server_of_a_sweep_imports_what_any_of_its_cells_asks_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, package in (("first", "yaml"), ("second", "numpy")):
        (tmp_path / f"{name}.py").write_text(f"import {package}\ndef build(device, options): ...\n")
    own: dict[str, Any] = {"workload__kind": WorkloadKind.custom}
    plans = [
        planned(**own, workload__factory="first:build"),
        planned(**own, workload__factory="second:build"),
        planned(**own, workload__factory="first:build", workers__preload=["yaml", "rich.console"]),
        planned(),
    ]
    assert names_to_preload(plans) == ("yaml", "numpy", "rich.console")
    assert names_to_preload([planned(**own, workload__factory="first:build", workers__preload=[])]) == ()
    spawned = planned(**own, workload__factory="first:build", workers__start_method=StartMethod.spawn)
    assert names_to_preload([spawned]) == ()
