"""The control program and daemons of others, without starting one."""

import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from mps_experiments.doctor.finding import Level
from mps_experiments.doctor.mps import foreign_findings, missing_program, program_finding
from mps_experiments.mps.control import CONTROL_PROGRAM, SERVER_PROGRAM, control_program
from tests.doctor.conftest import DRIVER, put_program_on_path, the_only
from tests.fakes.plans import (
    FAKE_GPU,
    SECOND_GPU,
    daemon_of_somebody_else,
    own_mps_processes,
    short_folder,
    use_fakes,
)

NO_DAEMON = "#!/bin/sh\n# of driver {versions}\necho Cannot find MPS control daemon process >&2\nexit 1\n"
HANGS = "#!/bin/sh\nexec sleep 1000\n"
GARBAGE = "#!/bin/sh\necho 476\n"
NO_INTERPRETER = "#!/nowhere/interpreter\n"
NO_LIBRARY = "#!/bin/sh\necho 'error while loading shared libraries: libcuda.so.1' >&2\nexit 127\n"


@pytest.fixture
def short_dir() -> Iterator[Path]:
    with short_folder() as folder:
        yield folder


def test_a_missing_program_fails_where_there_is_a_gpu_and_warns_elsewhere() -> None:
    assert missing_program(True).level is Level.FAIL
    assert missing_program(False).level is Level.WARN


def test_a_program_that_runs_is_asked_and_starts_nothing(
    monkeypatch: pytest.MonkeyPatch, short_dir: Path
) -> None:
    use_fakes(monkeypatch)
    program = control_program()
    assert program is not None
    finding = program_finding(program, short_dir, None, 20.0)
    assert finding.level is Level.OK, finding
    assert str(program) in finding.found
    assert list(short_dir.iterdir()) == []
    assert own_mps_processes() == []


@pytest.mark.parametrize(
    ("script", "timeout_s", "found"),
    [
        (HANGS, 0.3, "did not answer 'get_server_list' within 0.3 s"),
        (GARBAGE, 20.0, "answers where there is no daemon"),
        (NO_INTERPRETER, 20.0, "cannot be run: No such file or directory"),
        (NO_LIBRARY, 20.0, "error while loading shared libraries: libcuda.so.1"),
    ],
    ids=["hangs", "garbage", "no interpreter", "no library"],
)
def test_a_program_that_does_not_work_fails_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    short_dir: Path,
    script: str,
    timeout_s: float,
    found: str,
) -> None:
    program = put_program_on_path(monkeypatch, tmp_path / "bin", script)
    finding = program_finding(program, short_dir, DRIVER, timeout_s)
    assert finding.level is Level.FAIL, finding
    assert found in finding.found
    assert f"which -a {CONTROL_PROGRAM}" in finding.todo


@pytest.mark.parametrize(
    ("versions", "level", "found"),
    [
        (DRIVER, Level.OK, f", of driver {DRIVER}"),
        (f"{DRIVER} and 12.8 and 1.2.3.4", Level.OK, f", of driver {DRIVER}"),
        ("none", Level.OK, "does not tell its version"),
        ("550.54.15", Level.WARN, f", of driver 550.54.15, not of {DRIVER}"),
        ("550.54.15 535.161.08", Level.OK, "does not tell its version"),
    ],
)
def test_its_version_is_compared_with_the_drivers(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    short_dir: Path,
    versions: str,
    level: Level,
    found: str,
) -> None:
    script = NO_DAEMON.format(versions=versions)
    program = put_program_on_path(monkeypatch, tmp_path / "bin", script)
    finding = program_finding(program, short_dir, DRIVER, 20.0)
    assert finding.level is level, finding
    assert finding.found.endswith(found)


def test_a_program_without_its_server_warns(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, short_dir: Path
) -> None:
    script = NO_DAEMON.format(versions=DRIVER)
    program = put_program_on_path(monkeypatch, tmp_path / "bin", script)
    program.with_name(SERVER_PROGRAM).unlink()
    finding = program_finding(program, short_dir, DRIVER, 20.0)
    assert finding.level is Level.WARN, finding
    assert SERVER_PROGRAM in finding.todo


def test_a_daemon_of_others_is_named_with_how_its_owner_ends_it_and_left_alone(
    monkeypatch: pytest.MonkeyPatch, short_dir: Path
) -> None:
    use_fakes(monkeypatch)
    pipe_dir = short_dir / "foreign"
    with daemon_of_somebody_else(pipe_dir):
        pid = int((pipe_dir / "nvidia-cuda-mps-control.pid").read_text())
        finding = the_only(foreign_findings(20.0), Level.WARN)
        assert psutil.pid_exists(pid)
    assert f"pid {pid} of {psutil.Process().username()} at {pipe_dir}, 0 clients" in finding.found
    assert f"echo quit | CUDA_MPS_PIPE_DIRECTORY={pipe_dir} {CONTROL_PROGRAM}" in finding.todo


def test_a_daemon_of_others_that_does_not_answer_is_still_named(
    monkeypatch: pytest.MonkeyPatch, short_dir: Path
) -> None:
    use_fakes(monkeypatch, "silent")
    with daemon_of_somebody_else(short_dir / "foreign"):
        finding = the_only(foreign_findings(0.3), Level.WARN)
    assert f"at {short_dir / 'foreign'}, clients unknown" in finding.found


def test_a_daemon_on_another_gpu_is_passed_over(monkeypatch: pytest.MonkeyPatch, short_dir: Path) -> None:
    use_fakes(monkeypatch)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", SECOND_GPU.uuid)
    with daemon_of_somebody_else(short_dir / "foreign"):
        here, there = (list(foreign_findings(20.0, gpu.uuid)) for gpu in (SECOND_GPU, FAKE_GPU))
    assert str(short_dir / "foreign") in str(here)
    assert str(short_dir / "foreign") not in str(there)


def test_no_daemon_is_ok(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other programs on this machine may have one, so the list of processes is empty here."""
    monkeypatch.setattr(psutil, "process_iter", lambda: iter(()))
    monkeypatch.setenv("PATH", os.devnull)
    the_only(foreign_findings(0.3), Level.OK)
