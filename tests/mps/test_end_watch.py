"""The moment at which a process ends is noted, by processes that really end."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from mps_experiments.mps.end_watch import EndWatch
from tests.fakes.plans import wait_until


def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", "1000"])


def test_the_first_to_end_is_noted_first_with_its_moment() -> None:
    with sleeper() as daemon, sleeper() as server:
        with EndWatch({daemon.pid: "daemon", server.pid: "server"}) as watch:
            before = time.monotonic_ns()
            server.kill()
            wait_until(lambda: watch.ends, "the first end is seen")
            daemon.kill()
            wait_until(lambda: len(watch.ends) == 2, "the second end is seen")
            after = time.monotonic_ns()
        assert [(end.name, end.pid) for end in watch.ends] == [("server", server.pid), ("daemon", daemon.pid)]
        assert before < watch.ends[0].at_ns < watch.ends[1].at_ns < after


def test_an_end_just_before_the_block_is_left_is_not_missed() -> None:
    for _ in range(20):
        with sleeper() as process:
            with EndWatch({process.pid: "server"}) as watch:
                process.kill()
                process.wait()
            assert [end.pid for end in watch.ends] == [process.pid]


def test_who_lives_on_is_not_noted_and_nothing_stays_open() -> None:
    before = sorted(Path("/proc/self/fd").iterdir())
    with sleeper() as process:
        with EndWatch({process.pid: "server"}) as watch:
            pass
        assert watch.ends == []
        process.kill()
    assert sorted(Path("/proc/self/fd").iterdir()) == before


def test_who_was_gone_before_is_noted_at_once() -> None:
    with sleeper() as process:
        process.kill()
    with EndWatch({process.pid: "server"}) as watch:
        assert [end.pid for end in watch.ends] == [process.pid]


def test_a_kernel_without_descriptors_of_processes_notes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> int:
        raise PermissionError

    monkeypatch.setattr(os, "pidfd_open", refuse)
    with sleeper() as process, EndWatch({process.pid: "server"}) as watch:
        process.kill()
        process.wait()
    assert watch.ends == []
