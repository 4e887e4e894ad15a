"""What workers left behind is ended; a process that only has the number of one is not."""

import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from mps_experiments.workers.descendants import end_descendants

DEADLINE_S = 30.0


@pytest.fixture
def waiting() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def test_a_process_that_was_seen_is_killed_and_one_that_is_gone_is_passed_over(
    waiting: subprocess.Popen[bytes],
) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait(DEADLINE_S)
    end_descendants([gone.pid, waiting.pid], time.time(), DEADLINE_S)
    assert not psutil.pid_exists(waiting.pid)


def test_a_process_that_began_after_the_look_is_somebody_else_s(waiting: subprocess.Popen[bytes]) -> None:
    end_descendants([waiting.pid], time.time() - 3600, DEADLINE_S)
    assert waiting.poll() is None
