"""A GPU is locked by one sweep at a time, and free again as soon as that sweep is gone."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from mps_experiments.errors import ConfigError
from mps_experiments.machine.gpu_lock import GpuLocks, holder_of
from tests.fakes.lock_holder import COMMAND
from tests.fakes.plans import CHECKOUT, running

HOLDER = CHECKOUT / "tests" / "fakes" / "lock_holder.py"
GPU = "GPU-b"
LONG_S = 3600.0


def never(text: str) -> None:
    pytest.fail(f"it waits: {text}")


def locks_in(folder: Path, say: Callable[[str], None] = never) -> GpuLocks:
    return GpuLocks("python -m mps_experiments times=9", say, folder)


def refusal(folder: Path, wait_s: float = 0.0, say: Callable[[str], None] = never) -> str:
    """Why another sweep cannot have the GPU."""
    with locks_in(folder, say) as locks, pytest.raises(ConfigError) as caught:
        locks.acquire(GPU, wait_s)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def is_free(folder: Path) -> bool:
    with locks_in(folder) as locks:
        try:
            locks.acquire(GPU, 0.0)
        except ConfigError:
            return False
    return True


@dataclass
class Holder:
    """A process that has locked the GPU, and its children."""

    process: subprocess.Popen[str]
    children: list[psutil.Process]

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@contextlib.contextmanager
def holder(folder: Path) -> Iterator[Holder]:
    with subprocess.Popen(
        [sys.executable, HOLDER, folder, GPU],
        env=os.environ | {"PYTHONPATH": f"{CHECKOUT}:{CHECKOUT / 'src'}"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        children = [psutil.Process(pid) for pid in json.loads(process.stdout.readline())]
        try:
            yield Holder(process, children)
        finally:
            process.kill()
            for child in running(children):
                child.kill()


@pytest.mark.parametrize("end", ["orderly", "killed"])
def test_a_gpu_in_use_is_refused_until_its_sweep_has_ended(tmp_path: Path, end: str) -> None:
    with holder(tmp_path) as first:
        assert refusal(tmp_path) == (
            f"device={GPU}: in use by another sweep, pid {first.process.pid} ({COMMAND}); "
            "gpu_wait_s=3600 waits up to an hour"
        )
        if end == "orderly":
            first.process.communicate("")
            assert first.process.returncode == 0
        else:
            first.kill()
            assert len(running(first.children)) == 3
        assert is_free(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [f"mpsx-{GPU}.lock"]


def test_who_has_a_gpu_is_told_without_a_change(tmp_path: Path) -> None:
    assert holder_of(GPU, tmp_path) is None
    assert list(tmp_path.iterdir()) == []
    with locks_in(tmp_path) as locks:
        locks.acquire(GPU, 0.0)
        assert holder_of(GPU, tmp_path) == (
            f"another sweep, pid {os.getpid()} (python -m mps_experiments times=9)"
        )
    assert holder_of(GPU, tmp_path) is None


def test_a_gpu_is_waited_for_and_one_line_says_for_whom(tmp_path: Path) -> None:
    told: list[str] = []
    with holder(tmp_path) as first:

        def tell_and_end_the_first(text: str) -> None:
            told.append(text)
            first.kill()

        with locks_in(tmp_path, tell_and_end_the_first) as locks:
            locks.acquire(GPU, LONG_S)
            assert not is_free(tmp_path)
    assert told == [
        f"waiting up to 3600 s for {GPU}, in use by another sweep, pid {first.process.pid} ({COMMAND})"
    ]


def test_who_has_waited_in_vain_is_refused_but_the_sweep_that_has_the_gpu_is_not(tmp_path: Path) -> None:
    told: list[str] = []
    with locks_in(tmp_path) as first:
        first.acquire(GPU, 0.0)
        assert "in use and was for 0.3 s by another sweep, pid" in refusal(tmp_path, 0.3, told.append)
        first.acquire(GPU, LONG_S)
    assert len(told) == 1
    assert is_free(tmp_path)


def test_each_gpu_has_its_lock_and_one_out_of_order_is_not_waited_for(tmp_path: Path) -> None:
    """The other sweep may be waiting for the one that this sweep holds."""
    with locks_in(tmp_path) as first, locks_in(tmp_path) as second:
        first.acquire("GPU-a", 0.0)
        second.acquire(GPU, 0.0)
        with pytest.raises(ConfigError, match="device=GPU-a: in use by another sweep"):
            second.acquire("GPU-a", LONG_S)


def test_what_cannot_be_locked_is_one_line(tmp_path: Path) -> None:
    assert "No such file or directory" in refusal(tmp_path / "none")
    lock = tmp_path / f"mpsx-{GPU}.lock"
    lock.mkdir()
    assert refusal(tmp_path).startswith(f"device={GPU}: cannot be locked for this sweep ({lock}: ")
