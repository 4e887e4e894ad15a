"""A runner's private folder is removed when the runner is dead, and by nobody while it lives."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from mps_experiments.mps.folders import LOCK_NAME, parent_folder, private_folder, remove_stale_folders
from mps_experiments.mps.guardian import Guardian
from mps_experiments.mps.processes import processes_of
from tests.fakes.plans import CHECKOUT, is_running, wait_until

RUNNER = CHECKOUT / "tests" / "fakes" / "environment_runner.py"
NAME = "mpsx-0123456789ab"
HERE = Path("/proc/self/ns/pid").readlink().name
NOBODY = 65534


def removed(parent: Path) -> list[Path]:
    return list(remove_stale_folders(parent, 5.0))


def left_behind(parent: Path, name: str = NAME, namespace: str = HERE) -> Path:
    """Make what a runner leaves if it and its guardian are killed."""
    folder = parent / name
    folder.mkdir(mode=0o700)
    (folder / "pipe").mkdir(mode=0o700)
    (folder / LOCK_NAME).write_text(namespace)
    return folder


@pytest.fixture
def parent(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the parent of private folders."""
    monkeypatch.setattr(tempfile, "tempdir", str(short_dir))
    return short_dir


def test_a_folder_is_private_has_a_lock_and_is_gone_afterwards(parent: Path, guardian: Guardian) -> None:
    with private_folder(guardian) as folder:
        assert folder.parent == parent == parent_folder()
        assert folder.stat().st_mode & 0o777 == 0o700
        assert [path.name for path in folder.iterdir()] == [LOCK_NAME]
    assert list(parent.iterdir()) == []


def test_a_temporary_folder_that_is_gone_is_said_with_what_to_do(parent: Path, guardian: Guardian) -> None:
    parent.rmdir()
    with pytest.raises(FileNotFoundError) as caught, private_folder(guardian):
        pass
    what = "no worker can be started; repeat the command with resume=true and a folder that stays"
    assert str(caught.value) == f"TMPDIR={parent} is gone: {what}"
    parent.mkdir()


def test_the_folder_of_a_living_runner_is_left_alone(parent: Path, guardian: Guardian) -> None:
    with private_folder(guardian) as folder:
        assert removed(parent) == []
        assert folder.exists()


@pytest.fixture
def orphans(
    fake_programs: None, tmp_path: Path, short_dir: Path
) -> Iterator[Callable[[bool], tuple[Path, psutil.Process]]]:
    """Start a runner with a daemon and a client, and kill it, with its guardian if asked to."""
    started: list[subprocess.Popen[str]] = []

    def start(with_guardian: bool) -> tuple[Path, psutil.Process]:
        runner = subprocess.Popen(
            [sys.executable, RUNNER, tmp_path / "run"],
            env=os.environ | {"PYTHONPATH": f"{CHECKOUT}:{CHECKOUT / 'src'}", "TMPDIR": str(short_dir)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(runner)
        assert runner.stdout is not None
        report = json.loads(runner.stdout.readline())
        pipe_dir, guardian = Path(report["pipe_dir"]), psutil.Process(report["guardian"])
        wait_until(lambda: len(processes_of(pipe_dir)) == 2, "daemon and server are there")
        if with_guardian:
            guardian.kill()
            wait_until(lambda: not is_running(guardian), "the guardian is dead")
        else:
            guardian.suspend()
        runner.send_signal(signal.SIGKILL)
        runner.wait()
        return pipe_dir.parent, guardian

    yield start
    for runner in started:
        runner.communicate()


def test_what_a_dead_runner_left_is_removed_with_its_daemon(
    short_dir: Path, orphans: Callable[[bool], tuple[Path, psutil.Process]]
) -> None:
    folder, _ = orphans(True)
    assert any(process.program for process in processes_of(folder / "pipe"))
    assert removed(short_dir) == [folder]
    assert list(short_dir.iterdir()) == []
    assert processes_of(folder / "pipe") == ()
    assert removed(short_dir) == []


def test_a_guardian_that_comes_later_finds_nothing_to_do_and_ends_in_peace(
    short_dir: Path, orphans: Callable[[bool], tuple[Path, psutil.Process]]
) -> None:
    folder, guardian = orphans(False)
    assert removed(short_dir) == [folder]
    guardian.resume()
    wait_until(lambda: not is_running(guardian), "the guardian has ended")
    assert list(short_dir.iterdir()) == []


def test_a_folder_that_vanishes_meanwhile_does_not_keep_the_next_from_being_removed(short_dir: Path) -> None:
    folders = [left_behind(short_dir, f"mpsx-{number:012x}") for number in range(3)]
    found = []
    for folder in remove_stale_folders(short_dir, 5.0):
        found.append(folder)
        shutil.rmtree(folders[1], ignore_errors=True)  # as its guardian does
    assert found == [folders[0], folders[2]]


def test_two_cleaners_do_not_work_on_one_folder(short_dir: Path) -> None:
    left_behind(short_dir)
    second: list[Path] = []
    shutil_rmtree = shutil.rmtree
    with pytest.MonkeyPatch.context() as patch:

        def look_and_remove(folder: Path) -> None:
            second.extend(removed(short_dir))
            shutil_rmtree(folder)

        patch.setattr(shutil, "rmtree", look_and_remove)
        assert len(removed(short_dir)) == 1
    assert second == []


@pytest.mark.parametrize(("age_s", "is_removed"), [(30.0, False), (90.0, True)])
def test_a_folder_without_a_lock_is_being_made_for_a_minute(
    short_dir: Path, age_s: float, is_removed: bool
) -> None:
    folder = left_behind(short_dir)
    (folder / LOCK_NAME).unlink()
    made = time.time() - age_s
    os.utime(folder, (made, made))
    assert removed(short_dir) == ([folder] if is_removed else [])


def another_pid_namespace(parent: Path) -> Path:
    return left_behind(parent, namespace="pid:[1]")


def another_name(parent: Path) -> Path:
    return left_behind(parent, "pymp-0123456789ab")


def a_longer_name(parent: Path) -> Path:
    return left_behind(parent, f"{NAME}c")


def open_to_others(parent: Path) -> Path:
    folder = left_behind(parent)
    folder.chmod(0o755)
    return folder


def a_file(parent: Path) -> Path:
    (parent / NAME).write_text(HERE)
    return parent / NAME


def a_link(parent: Path) -> Path:
    (parent / NAME).symlink_to(left_behind(parent, "elsewhere"))
    return parent / NAME


def a_lock_that_is_a_link(parent: Path) -> Path:
    folder = left_behind(parent)
    (folder / LOCK_NAME).rename(parent / "elsewhere")
    (folder / LOCK_NAME).symlink_to(parent / "elsewhere")
    return folder


@pytest.mark.parametrize(
    "make",
    [
        another_pid_namespace,
        another_name,
        a_longer_name,
        open_to_others,
        a_file,
        a_link,
        a_lock_that_is_a_link,
    ],
    ids=lambda make: make.__name__,
)
def test_what_is_not_certainly_left_by_a_dead_runner_of_ours_is_left_alone(
    short_dir: Path, make: Callable[[Path], Path]
) -> None:
    kept = make(short_dir)
    assert removed(short_dir) == []
    assert kept.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_the_folder_of_another_user_is_left_alone(short_dir: Path) -> None:
    kept = left_behind(short_dir)
    os.chown(kept, NOBODY, NOBODY)
    assert removed(short_dir) == []
    assert kept.exists()
