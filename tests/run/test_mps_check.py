"""MPS that does not work is found before anything is measured, with the reason and what works."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mps_experiments.errors import ConfigError
from mps_experiments.machine.device import Device
from mps_experiments.mps.control import CONTROL_PROGRAM
from mps_experiments.mps.daemon import DaemonTimeouts
from mps_experiments.mps.guardian import Guardian
from mps_experiments.mps.logs import control_version, cuda_version
from mps_experiments.run.environment import new_daemon
from mps_experiments.run.mps_check import MpsCheck
from mps_experiments.run.plan import RunPlan
from tests.fakes.plans import (
    CHECKOUT,
    own_mps_processes,
    path_with_fakes,
    run_plan,
    short_folder,
)
from tests.fakes.running import Lab, open_lab

GARBAGE = "#!/bin/sh\necho 476\nexit 0\n"
NO_INTERPRETER = "#!/nowhere/interpreter\n"


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Make the folder of private folders, which must be empty again at the end."""
    with short_folder() as folder:
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        yield folder
        assert list(folder.iterdir()) == []


@pytest.fixture
def short_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    short = DaemonTimeouts(start_s=0.5, command_s=5.0, quit_s=0.5)
    monkeypatch.setattr("mps_experiments.run.environment.DAEMON_TIMEOUTS", short)


def refusal(guardian: Guardian, planned: RunPlan) -> str:
    with pytest.raises(ConfigError) as caught:
        MpsCheck(guardian).check(planned)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("mps=on: MPS does not work here: ")
    return str(caught.value)


def test_mps_that_works_passes_and_leaves_nothing(tmp_path: Path, temporary: Path, lab: Lab) -> None:
    MpsCheck(lab.guardian).check(run_plan(tmp_path / "run", gpu=lab.gpu))
    assert own_mps_processes() == []
    assert list((tmp_path / "run").iterdir()) == []


def test_each_gpu_is_asked_once(
    tmp_path: Path, temporary: Path, fake_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    check, planned = MpsCheck(fake_lab.guardian), run_plan(tmp_path / "run")
    check.check(planned)
    monkeypatch.setenv("FAKE_MPS", "exit=1")
    check.check(planned)
    other = replace(fake_lab.gpu, uuid="GPU-2")
    with pytest.raises(ConfigError):
        check.check(run_plan(tmp_path / "other", gpu=other))


@pytest.mark.parametrize("mps", [{"enabled": False}, {"enabled": True}], ids=["mps off", "skipped"])
def test_a_cell_that_will_not_use_mps_asks_nothing(
    tmp_path: Path, temporary: Path, fake_lab: Lab, monkeypatch: pytest.MonkeyPatch, mps: dict[str, bool]
) -> None:
    monkeypatch.setenv("FAKE_MPS", "exit=1")
    gpu = fake_lab.gpu if not mps["enabled"] else replace(fake_lab.gpu, mig_enabled=True)
    MpsCheck(fake_lab.guardian).check(run_plan(tmp_path / "run", gpu=gpu, mps=mps))
    MpsCheck(fake_lab.guardian).check(run_plan(tmp_path / "run", gpu=None, mps=mps))


def test_a_daemon_that_ends_is_refused_with_its_last_words(
    tmp_path: Path, temporary: Path, fake_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_MPS", "exit=1")
    said = refusal(fake_lab.guardian, run_plan(tmp_path / "run"))
    assert re.search("the MPS daemon ended at once with code 1: .*device is unavailable", said)
    assert own_mps_processes() == []


@pytest.mark.usefixtures("short_deadlines")
def test_a_daemon_that_does_not_answer_is_refused_with_the_time_that_it_had(
    tmp_path: Path, temporary: Path, fake_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_MPS", "silent")
    said = refusal(fake_lab.guardian, run_plan(tmp_path / "run"))
    assert "the MPS daemon did not answer within 0.5 s" in said
    assert own_mps_processes() == []


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (GARBAGE, "is not an MPS daemon: it wrote no pid file|ended at once with code 0: 476"),
        (NO_INTERPRETER, "cannot be run: No such file or directory"),
    ],
    ids=["garbage", "no interpreter"],
)
def test_a_program_that_only_has_the_name_is_refused_and_named(
    tmp_path: Path,
    temporary: Path,
    guardian: Guardian,
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    reason: str,
) -> None:
    program = tmp_path / CONTROL_PROGRAM
    program.write_text(script)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path), os.environ["PATH"]]))
    text = refusal(guardian, run_plan(tmp_path / "run"))
    assert re.search(reason, text)
    assert text.endswith(
        f"; mps=off works without it; `which {CONTROL_PROGRAM}` names {program}: is it the driver's?"
    )


@pytest.mark.parametrize(
    ("misbehaviour", "cuda", "limit"),
    [("", "13.1", 48), ("version=13010", "13.0", 60), ("no_version", "13.0", 48), ("no_version", None, 60)],
    ids=["the daemon tells", "a newer one", "the driver tells", "nobody tells"],
)
def test_more_workers_than_a_server_takes_clients_are_refused(
    tmp_path: Path,
    temporary: Path,
    fake_lab: Lab,
    monkeypatch: pytest.MonkeyPatch,
    misbehaviour: str,
    cuda: str | None,
    limit: int,
) -> None:
    monkeypatch.setenv("FAKE_MPS", misbehaviour)
    check = MpsCheck(fake_lab.guardian, cuda)
    most = replace(run_plan(tmp_path / "run"), worker_count=limit)
    check.check(most)
    for enabled_elsewhere in (
        replace(most, worker_count=limit + 1, mps=replace(most.mps, enabled=False)),
        replace(most, worker_count=limit + 1, device=Device(gpu=None)),
    ):
        check.check(enabled_elsewhere)
    with pytest.raises(ConfigError) as caught:
        check.check(replace(most, worker_count=limit + 1))
    assert str(caught.value) == (
        f"procs={limit + 1}: an MPS server takes {limit} clients here; give {limit} at most"
    )


@pytest.mark.gpu
def test_the_real_daemon_tells_its_version(tmp_path: Path, guardian: Guardian) -> None:
    with open_lab(guardian, real=True) as lab:
        with short_folder() as folder, new_daemon(run_plan(tmp_path / "run", gpu=lab.gpu), folder):
            pass
        version = control_version((tmp_path / "run" / "control.log").read_text())
        assert version == cuda_version(lab.probe.cuda_driver_version())


def test_the_command_refuses_before_the_first_cell_in_one_line(tmp_path: Path) -> None:
    with short_folder() as temporary:
        done = subprocess.run(
            [
                *[sys.executable, str(CHECKOUT / "tests" / "fakes" / "cli_runner.py"), "-m", "mps=off,on"],
                *["workload=custom", "workload.factory=tests.fakes.moody:build", "tracking=none"],
            ],
            cwd=tmp_path,
            env=os.environ
            | {"PYTHONPATH": f"{CHECKOUT}:{CHECKOUT / 'src'}", "TMPDIR": str(temporary)}
            | {"PATH": path_with_fakes(), "FAKE_MPS": "exit=1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert [path.name for path in temporary.iterdir() if path.name[:5] in ("mpsx-", "pymp-")] == []
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"mps_experiments: mps=on: MPS does not work here: .*\n", done.stderr)
    assert not list(tmp_path.rglob("measurement.json"))
