"""The guardian puts back what a runner that was killed could not, and nothing else."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from mps_experiments.errors import DaemonError
from mps_experiments.mps.guardian import Guardian
from mps_experiments.mps.processes import processes_of
from tests.fakes.plans import FAKE_GPU, is_running, wait_until
from tests.mps.conftest import NewDaemon

TIMEOUT_S = 20.0


@pytest.fixture
def modes(fake_programs: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Make the file in which the stand-in for nvidia-smi notes the modes that it is told to set."""
    path = tmp_path / "modes"
    path.touch()
    monkeypatch.setenv("FAKE_SMI_MODES", str(path))
    return path


def test_what_was_announced_is_undone_when_the_pipe_closes(
    modes: Path, new_daemon: NewDaemon, short_dir: Path
) -> None:
    with new_daemon() as daemon:
        with Guardian() as guardian:
            guardian.will_restore(FAKE_GPU.uuid, "Default", TIMEOUT_S)
            guardian.will_remove(short_dir / "d")
            assert daemon.is_alive()
        assert processes_of(daemon.pipe_dir) == ()
        assert not (short_dir / "d").exists()
    assert modes.read_text().split() == ["DEFAULT"]


def test_what_was_forgotten_is_left_alone_and_only_that(modes: Path, short_dir: Path) -> None:
    kept, removed = short_dir / "kept", short_dir / "removed"
    kept.mkdir()
    removed.mkdir()
    with Guardian() as guardian:
        undone = [guardian.will_remove(kept), guardian.will_restore(FAKE_GPU.uuid, "Prohibited", TIMEOUT_S)]
        guardian.will_restore(FAKE_GPU.uuid, "Default", TIMEOUT_S)
        guardian.will_remove(removed)
        for entry in undone:
            guardian.forget(entry)
    assert kept.exists()
    assert not removed.exists()
    assert modes.read_text().split() == ["DEFAULT"]


def test_the_newest_entry_is_undone_first(modes: Path) -> None:
    with Guardian() as guardian:
        guardian.will_restore(FAKE_GPU.uuid, "Default", TIMEOUT_S)
        guardian.will_restore(FAKE_GPU.uuid, "Exclusive_Process", TIMEOUT_S)
    assert modes.read_text().split() == ["EXCLUSIVE_PROCESS", "DEFAULT"]


def test_an_entry_that_cannot_be_undone_does_not_keep_the_next(
    modes: Path, monkeypatch: pytest.MonkeyPatch, short_dir: Path
) -> None:
    monkeypatch.setenv("FAKE_SMI", "refuse")
    (short_dir / "d").mkdir()
    with Guardian() as guardian:
        guardian.will_remove(short_dir / "d")
        guardian.will_remove(short_dir / "never there")
        guardian.will_restore(FAKE_GPU.uuid, "Default", TIMEOUT_S)
    assert not (short_dir / "d").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_signals_that_end_the_runner_do_not_end_the_guardian(
    modes: Path, short_dir: Path, number: signal.Signals
) -> None:
    (short_dir / "d").mkdir()
    with Guardian() as guardian:
        guardian.will_remove(short_dir / "d")
        # Once it has read standard input it has also begun to ignore the signals.
        status = Path(f"/proc/{guardian.pid}/status")
        wait_until(lambda: _ignores(status, number), "the guardian ignores the signal")
        os.kill(guardian.pid, number)
        assert os.getpgid(guardian.pid) != os.getpgid(0)
    assert not (short_dir / "d").exists()


def _ignores(status: Path, number: int) -> bool:
    line = next(line for line in status.read_text().splitlines() if line.startswith("SigIgn"))
    return bool(int(line.split()[1], 16) >> (number - 1) & 1)


def test_without_a_guardian_nothing_is_started_but_all_can_be_forgotten(short_dir: Path) -> None:
    with Guardian() as guardian:
        entry = guardian.will_remove(short_dir / "d")
        os.kill(guardian.pid, signal.SIGKILL)
        wait_until(lambda: not is_running(psutil.Process(guardian.pid)), "the guardian is dead")
        with pytest.raises(DaemonError, match=r"the cleanup process .* is gone"):
            guardian.will_remove(short_dir / "d")
        guardian.forget(entry)


def test_half_an_entry_of_a_runner_that_died_while_writing_is_passed_over(
    modes: Path, short_dir: Path
) -> None:
    (short_dir / "d").mkdir()
    with Guardian() as guardian:
        guardian.will_remove(short_dir / "d")
        stdin = guardian._process.stdin
        assert stdin is not None
        stdin.write('{"do": "restore", "uuid": "GPU')
        stdin.flush()
    assert not (short_dir / "d").exists()
    assert modes.read_text() == ""


def test_a_guardian_with_nothing_to_do_ends_with_code_0() -> None:
    process = subprocess.run(
        [sys.executable, "-m", "mps_experiments.mps.guardian"],
        input="not an entry\n",
        text=True,
        capture_output=True,
        check=False,
        timeout=20,
    )
    assert (process.returncode, process.stdout, process.stderr) == (0, "", "")


def test_a_covered_folder_is_left_to_its_owner_in_an_orderly_end(short_dir: Path) -> None:
    with Guardian() as guardian, guardian.covering(short_dir):
        pass
    assert short_dir.is_dir()


def test_a_guardian_that_does_not_end_in_time_is_killed() -> None:
    with Guardian(timeout_s=0.1) as guardian:
        process = psutil.Process(guardian.pid)
        process.suspend()
    assert not is_running(process)
