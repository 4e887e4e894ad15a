"""A runner is known by host, pid and the time when it began."""

import socket
import subprocess
import sys

import pytest

from mps_experiments.tracking.runners import is_alive, this_runner
from tests.conftest import SRC


def test_this_process_is_alive() -> None:
    assert is_alive(this_runner())


def test_a_process_that_ended_is_not() -> None:
    code = "import sys; from mps_experiments.tracking.runners import *; sys.stdout.write(this_runner())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={"PYTHONPATH": str(SRC)},
    )
    assert done.stdout.startswith(f"{socket.gethostname()}:")
    assert not is_alive(done.stdout)


def test_another_process_with_the_same_pid_is_not_the_runner() -> None:
    host, pid, started = this_runner().rsplit(":", 2)
    assert not is_alive(f"{host}:{pid}:{float(started) - 60:.2f}")


@pytest.mark.parametrize(
    ("runner", "alive"), [("another:1:1.0", True), (f"{socket.gethostname()}:x:1.0", False)]
)
def test_another_host_cannot_be_seen_and_a_broken_tag_is_nobody(runner: str, alive: bool) -> None:
    assert is_alive(runner) is alive
