"""A sweep goes on where Hydra could not write the files of one cell, and keeps no configurations."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.utils import JobReturn
from omegaconf import OmegaConf

from mps_experiments.composition.launcher import Job, SteadyLauncher
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

COMPOSES = """
import sys, threading
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from mps_experiments import cli

load = ConfigLoaderImpl.load_sweep_config
def looking(self, master_config, sweep_overrides):
    sys.stderr.write(f"{sweep_overrides[-1]} composed in {threading.current_thread().name}\\n")
    return load(self, master_config, sweep_overrides)
ConfigLoaderImpl.load_sweep_config = looking
sys.exit(cli.main())
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


def run_script(script: str, folder: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, "-m", *MOODY, "tracking=none", "order=as_given", *overrides],
        cwd=folder,
        env=environment() | {"PYTHONPATH": f"{CHECKOUT / 'src'}:{CHECKOUT}"},
        capture_output=True,
        text=True,
        check=False,
    )


class Arranging:
    """A task that runs jobs backwards, the last one twice, and then one that nobody handed over."""

    def __init__(self) -> None:
        self.ran: list[Job] = []
        self.known: list[int] = []

    def arrange(self, jobs: Sequence[Job]) -> Iterator[Job]:
        for job in [jobs[-1], *reversed(jobs), Job(number=9, overrides=("procs=7",))]:
            yield job
            self.known.append(len(self.ran))


def test_the_task_decides_the_order_and_each_job_has_run_when_the_next_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task, launcher = Arranging(), SteadyLauncher()
    launcher.task_function = task  # type: ignore[assignment]

    def run_one(_: object, job_overrides: Sequence[Sequence[str]], number: int) -> list[JobReturn]:
        task.ran.append(Job(number=number, overrides=tuple(job_overrides[0])))
        return [JobReturn()]

    monkeypatch.setattr(BasicLauncher, "launch", run_one)
    returned = launcher.launch([["procs=1"], ["procs=2"]], 4)
    assert [(job.number, *job.overrides) for job in task.ran] == [
        (5, "procs=2"),
        (5, "procs=2"),
        (4, "procs=1"),
        (9, "procs=7"),
    ]
    assert task.known == [1, 2, 3, 4]
    assert len(returned) == 4


@pytest.mark.parametrize(
    ("more", "threads"),
    [([], ["MainThread", *["afterwork"] * 2]), (["hydra.job.chdir=true"], ["MainThread"] * 3)],
)
def test_the_next_cell_is_composed_beside_the_one_before_and_is_the_same(
    tmp_path: Path, more: list[str], threads: list[str]
) -> None:
    """Not where a job changes what it would be composed from."""
    folder = tmp_path / "out"
    done = run_script(
        COMPOSES, tmp_path, "times=2,3,4", f"hydra.sweep.dir={folder}", "hydra.sweep.subdir=${times}", *more
    )
    # Hydra's sweeper composes all of them before the first one.
    told = re.findall(r"^times=(\d) composed in (\w+)$", done.stderr, re.MULTILINE)
    assert told[3:] == list(zip("234", threads, strict=True)), done.stderr
    for number, times in enumerate("234"):
        hydra = OmegaConf.load(folder / times / ".hydra" / "hydra.yaml").hydra
        assert (hydra.job.num, hydra.job.id) == (number, str(number))
        assert hydra.runtime.output_dir == str(folder / times)
        assert hydra.overrides.task[-1] == f"times={times}"
        assert OmegaConf.load(folder / times / ".hydra" / "config.yaml").times == int(times)


def test_no_cell_leaves_its_configuration_in_memory(tmp_path: Path) -> None:
    done = run_script(KEEPS, tmp_path, "times=2,3")
    assert done.stdout.splitlines()[-1] == "[(None, None, 'times=2'), (None, None, 'times=3')]", done.stderr
