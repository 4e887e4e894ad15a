"""The fork server ends with the runner, also in the middle of a long import and with a request waiting."""

import subprocess
import sys
from pathlib import Path

import psutil

from mps_experiments.workers.forkserver_lifeline import is_fork_server
from tests.conftest import SRC
from tests.fakes.plans import is_running, wait_until

RUNNER = """\
import multiprocessing
from multiprocessing import forkserver

if __name__ == "__main__":
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mps_experiments.workers.forkserver_lifeline", "endless_import"])
    forkserver.ensure_running()
    print(forkserver._forkserver._forkserver_pid, flush=True)
    context.Process(target=print, daemon=True).start()  # its request waits until the import has ended
"""
ENDLESS = """\
import pathlib, time
pathlib.Path(__file__).with_suffix(".begun").touch()
time.sleep(600)
"""


def test_a_killed_runner_takes_a_fork_server_with_it_that_is_importing(tmp_path: Path) -> None:
    (tmp_path / "runner.py").write_text(RUNNER)
    (tmp_path / "endless_import.py").write_text(ENDLESS)
    runner = subprocess.Popen(
        [sys.executable, "runner.py"],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{SRC}:{tmp_path}"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert runner.stdout is not None
    server = psutil.Process(int(runner.stdout.readline()))
    try:
        wait_until((tmp_path / "endless_import.begun").exists, "the fork server imports")
        assert is_running(server)
        runner.kill()
        wait_until(lambda: not is_running(server), "the fork server is gone")
    finally:
        runner.kill()
        runner.communicate()
        if is_running(server):
            server.kill()


LATE = "import subprocess, sys; print(subprocess.Popen([sys.executable, 'late.py']).pid)"
WAITS = """\
import pathlib, time
from mps_experiments.workers.forkserver_lifeline import end_with_runner

while pathlib.Path("wait").exists():
    time.sleep(0.01)
end_with_runner()
time.sleep(600)
"""


def test_a_fork_server_whose_runner_is_gone_before_it_could_listen_ends_too(tmp_path: Path) -> None:
    (tmp_path / "late.py").write_text(WAITS)
    (tmp_path / "wait").touch()
    with (tmp_path / "pid").open("w") as output:
        subprocess.run(
            [sys.executable, "-c", LATE],
            cwd=tmp_path,
            env={"PYTHONPATH": str(SRC)},
            stdout=output,
            start_new_session=True,  # else its orphan might come to a process of its group
            check=True,
        )
    server = psutil.Process(int((tmp_path / "pid").read_text()))
    try:
        assert is_running(server)
        (tmp_path / "wait").unlink()
        wait_until(lambda: not is_running(server), "the fork server is gone")
    finally:
        if is_running(server):
            server.kill()


def test_only_a_fork_server_is_taken_for_one() -> None:
    command = "from multiprocessing.forkserver import main; main(3, 5, ['torch'], **{})"
    assert is_fork_server([sys.executable, "-B", "-c", command])
    assert not is_fork_server([sys.executable, "-m", "mps_experiments"])
