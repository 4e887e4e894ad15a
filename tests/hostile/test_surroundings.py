"""Environments and permissions: a wrong one is one line, an odd one changes nothing."""

import sys
from pathlib import Path

import pytest

from tests.conftest import Command, run_bash
from tests.hostile.conftest import Bad, Refused, rows

WRITABLE = "name a folder of yours"
LONG = "x" * 120


def output(name: str, folder: str, why: str, files: dict[str, str] | None = None) -> Bad:
    says = (f"output_dir={folder}: cannot be written ({why}", WRITABLE)
    return Bad(name=name, arguments=["device=cpu", f"output_dir='{folder}'"], says=says, files=files or {})


# As root, which no mode of a file stops: these stop root, too.
PERMISSIONS = [
    output("a file in the way", "{here}/file", "{here}/file is a file", {"file": "mine"}),
    output("a folder of the kernel", "/proc/self", "/proc/self: Permission denied"),
    Bad(
        name="a folder that takes no files",
        arguments=["device=cpu", "output_dir=/sys/kernel"],
        says=(
            "output_dir=/sys/kernel: cannot be written (its file system takes no files)",
            "a folder of yours",
        ),
    ),
    output("somebody's home", "~nobody-has-this-name/x", "Could not determine home"),
    output("a name too long", f"{{here}}/{'x' * 300}", "File name too long"),
]

ENVIRONMENT = [
    Bad(
        name="GPUs that there are not",
        arguments=["device=cuda"],
        says=("device=cuda: this machine has no visible NVIDIA GPU; device=cpu runs without one",),
        environment={"CUDA_VISIBLE_DEVICES": "nonsense,-7"},
    ),
    Bad(
        name="a temporary folder too long for a socket",
        arguments=["device=cpu", "tracking=none"],
        says=(f"TMPDIR={{here}}/{LONG}: no worker can be started from there", "with a short name"),
        files={f"{LONG}/file": ""},
        environment={"TMPDIR": f"{{here}}/{LONG}"},
    ),
]


@rows(PERMISSIONS)
def test_what_cannot_be_written_or_found_is_refused_in_one_line(bad: Bad, refused: Refused) -> None:
    refused(bad)


@rows([PERMISSIONS[0], *ENVIRONMENT])
def test_the_command_refuses_it_too(bad: Bad, refused_by_command: Refused) -> None:
    refused_by_command(bad)


def test_a_folder_that_is_gone_is_refused_in_one_line(tmp_path: Path) -> None:
    """The shell stands in a folder that somebody removed."""
    command = f"mkdir gone && cd gone && rmdir ../gone && {sys.executable} -m mps_experiments device=cpu"
    done = run_bash(command, tmp_path)
    line = "mps_experiments: current folder: is not there any more; change to one that is\n"
    assert (done.returncode, done.stderr) == (2, line)


ODD = {
    "TMPDIR": "/nowhere",
    "LC_ALL": "C",
    "PYTHONUTF8": "0",
    "COLUMNS": "0",
    "MPLBACKEND": "nonsense",
    "CUDA_VISIBLE_DEVICES": "nonsense",
    "PATH": "/nowhere",
}


@pytest.mark.parametrize(("tracking", "odd"), [("sqlite", ODD), ("none", {"PYTHONWARNINGS": "error"})])
def test_an_odd_environment_changes_nothing(
    mps_experiments: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tracking: str,
    odd: dict[str, str],
) -> None:
    """No home, no temporary folder, no UTF-8, warnings as errors: none of it is this program's business."""
    (tmp_path / "plain.py").write_text("def build(device, options):\n    return (lambda x: x), 0\n")
    monkeypatch.delenv("HOME")
    custom = ["workload=custom", "workload.factory=plain:build", "device=cpu", "mps=off", "times=3"]

    done = mps_experiments(*custom, "trace.iterations=0", f"tracking={tracking}", **odd)

    assert done.stderr == ""
    assert "VALID  makespan" in done.stdout or "INVALID: " in done.stdout  # the second on a busy machine
    assert len(list(tmp_path.glob("outputs/20*/*/*/measurement.json"))) == 1
