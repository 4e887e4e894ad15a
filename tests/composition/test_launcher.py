"""A sweep goes on where Hydra could not write the files of one cell, and keeps no configurations."""

import json
import re
import subprocess
import sys
from pathlib import Path

from tests.conftest import CHECKOUT
from tests.test_sweep import MOODY, environment, sweep

KEEPS = """
import gc, sys
from hydra.core.utils import JobReturn
from mps_experiments.composition.launcher import SteadyLauncher
from mps_experiments import cli

launch, kept = SteadyLauncher.launch, []
def looking(self, job_overrides, initial_job_idx):
    kept.extend(launch(self, job_overrides, initial_job_idx))
    return kept
SteadyLauncher.launch = looking
code = cli.main()
print([(each.cfg, each.hydra_cfg, each.overrides[-1]) for each in kept])
sys.exit(code)
"""


def test_a_cell_whose_folder_cannot_be_is_named_and_the_others_run(tmp_path: Path) -> None:
    """Something else has the name of the second cell's folder."""
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "3").touch()
    done = sweep(
        tmp_path, "-m", *MOODY, "times=2,3,4", "tracking=none", f"hydra.sweep.dir={folder}",
        "hydra.sweep.subdir=${times}", "workload.options.sleep_s=0.02",
    )  # fmt: skip
    assert done.result.returncode == 1
    assert re.fullmatch(
        r"mps_experiments: .* times=3 .*: REFUSED: its folder cannot be written \(File exists\)\n",
        done.result.stderr,
    )
    assert sorted(done.measurements) == ["mps=off procs=1 times=2", "mps=off procs=1 times=4"]
    assert json.loads((folder / "sweep.json").read_text())["status"] == "FAILED"


def test_no_cell_leaves_its_configuration_in_memory(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KEEPS, "-m", *MOODY, "tracking=none", "times=2,3"],
        cwd=tmp_path,
        env=environment() | {"PYTHONPATH": f"{CHECKOUT / 'src'}:{CHECKOUT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines()[-1] == "[(None, None, 'times=2'), (None, None, 'times=3')]", done.stderr
