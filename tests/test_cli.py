"""The command as a user runs it: exit codes, what it prints, what it leaves behind."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from mps_experiments.config.schema import options
from tests.conftest import SRC, Command, run_bash, run_python

SWEEP = """\
import json, os, sys
if __name__ == "__main__":
    before = dict(os.environ)
    from mps_experiments.sweep.program import main
    from mps_experiments.machine.gpus import FixedProbe
    code = main(FixedProbe())
    torch = [name for name in sys.modules if name.split(".")[0] in ("torch", "torchvision", "users_workload")]
    with open("report.json", "w") as file:
        json.dump({"code": code, "torch": torch, "environment": dict(os.environ) == before}, file)
"""
WORKLOAD = "def build(device, options): return (lambda x: x), options['size']\n"


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_mistake_is_one_line_on_stderr_and_exit_code_2(mps_experiments: Command, tmp_path: Path) -> None:
    done = mps_experiments("-m", "procs=1,0")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("mps_experiments: procs=0: must be a whole number from 1 to 1024")
    assert done.stderr.count("\n") == 1
    assert files_in(tmp_path) == []


def test_a_model_that_is_typed_is_never_replaced_by_a_small_one(
    mps_experiments: Command, tmp_path: Path
) -> None:
    done = mps_experiments("experiment=quickstart", "device=cpu", "workload.model=resnet999", "tracking=none")
    assert done.returncode == 2
    assert done.stderr.startswith("mps_experiments: workload.model=resnet999: not a torchvision")
    assert done.stderr.count("\n") == 1
    assert files_in(tmp_path) == []


def test_help_has_every_option_and_every_group(mps_experiments: Command) -> None:
    done = mps_experiments("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert [option.name for option in options() if f"\n{option.name}=" not in done.stdout] == []
    for group in (
        "mps: off, on",
        "workload: auto, custom, maskrcnn",
        "tracking: auto, none",
        "fault: daemon_kill, device_assert",
        "experiment: fault_table, packing, quickstart",
    ):
        assert group in done.stdout
    assert "--multirun" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--cfg", "job", "experiment=quickstart"], "model: auto"),
        (["--info", "searchpath"], "structured://"),
        (["--hydra-help"], "--multirun"),
    ],
)
def test_what_hydra_users_expect_is_shown(
    mps_experiments: Command, tmp_path: Path, arguments: list[str], expected: str
) -> None:
    done = mps_experiments(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert expected in done.stdout
    assert files_in(tmp_path) == []


def test_a_reader_that_goes_early_gets_no_traceback(tmp_path: Path) -> None:
    done = run_bash(f"{sys.executable} -m mps_experiments --info all | :", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


INTERRUPTED = """\
import os, runpy, signal, sys
class Interrupter:
    def find_spec(self, name, path, target=None):
        if name == {name!r}:
            sys.stderr.write("there ")
            sys.stderr.flush()
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupter())
sys.argv = ["tool", "--help"]
runpy.run_module({module!r}, run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("mps_experiments", "argparse"),
        ("mps_experiments", "rich.console"),
        ("mps_experiments", "hydra"),
        ("mps_experiments.report", "rich"),
        ("mps_experiments.report", "numpy"),
        ("mps_experiments.recommend", "pydantic"),
    ],
)
def test_ctrl_c_while_the_program_is_imported_leaves_no_traceback(module: str, name: str) -> None:
    done = run_python("-c", INTERRUPTED.format(module=module, name=name))
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "there mps_experiments: interrupted by SIGINT\n"


def test_ctrl_c_is_ignored_where_the_shell_says_so(tmp_path: Path) -> None:
    code = shlex.quote(INTERRUPTED.format(module="mps_experiments.report", name="rich"))
    done = run_bash(f"trap '' INT; {sys.executable} -c {code}", tmp_path)
    assert (done.returncode, done.stderr) == (0, "there ")


def test_the_console_script_is_the_same_command(mps_experiments: Command, tmp_path: Path) -> None:
    script = Path(sys.executable).with_name("mps-experiments")
    done = subprocess.run([script, "--cfg", "job"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == mps_experiments("--cfg", "job").stdout


class Finished:
    """A sweep that ran inside one process, `cli.main` called by its own code."""

    def __init__(self, folder: Path) -> None:
        (folder / "users_workload.py").write_text(WORKLOAD)
        (folder / "sweep.py").write_text(SWEEP)
        self.long = "x" * 300
        self.process = subprocess.run(
            [
                sys.executable,
                "sweep.py",
                "-m",
                "workload=custom",
                "workload.factory=users_workload:build",
                f"workload.options.size=1,{self.long}1,{self.long}2",
                "mps=off",
                "times=3",
                "device=cpu",
                "tracking=none",
                "output_dir='~/my out'",
            ],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(SRC), "HOME": str(folder)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (folder / "report.json").exists(), self.process.stderr
        self.report = json.loads((folder / "report.json").read_text())
        self.records = sorted((folder / "my out").rglob("measurement.json"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """One sweep of three cells, for all assertions below."""
    return Finished(tmp_path_factory.mktemp("sweep"))


def test_a_sweep_whose_cells_are_all_valid_ends_with_0(finished: Finished) -> None:
    assert (finished.process.returncode, finished.process.stderr) == (0, "")
    assert finished.report["code"] == 0
    assert finished.process.stdout.count(": VALID") == 3


def test_the_parent_never_imports_torch_nor_the_users_workload_nor_edits_its_environment(
    finished: Finished,
) -> None:
    assert finished.report["torch"] == []
    assert finished.report["environment"] is True


def test_run_folders_are_named_by_their_overrides_never_shared_and_keep_hydras_files(
    finished: Finished,
) -> None:
    names = [record.parent.name for record in finished.records]
    assert len(set(names)) == 3
    assert any(
        name.endswith("workload.options.size=1") or "workload.options.size=1," in name for name in names
    )
    assert all(len(name.encode()) <= 200 for name in names)
    for record in finished.records:
        assert (record.parent / ".hydra" / "overrides.yaml").is_file()
