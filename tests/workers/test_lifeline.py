"""A worker ends with its parent: a real parent, killed by SIGKILL."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mps_experiments.workers.lifeline import die_with_parent
from tests.conftest import SRC, run_python

DEADLINE_S = 30.0
CHILD = """\
import ctypes, multiprocessing, multiprocessing.connection, os, time
from mps_experiments.workers.lifeline import die_with_parent

def sleeping(pipe):
    die_with_parent()
    pipe.send(os.getpid())
    time.sleep(600)

def stuck_in_a_c_call(pipe):
    die_with_parent()
    pipe.send(os.getpid())
    ctypes.PyDLL(None).sleep(600)  # holds the interpreter lock, as a driver call may

def late(pipe):
    pipe.send(os.getpid())
    multiprocessing.connection.wait([multiprocessing.parent_process().sentinel])
    die_with_parent()
    time.sleep(600)
"""
PARENT = """\
import multiprocessing, sys, time
import lifeline_child
if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    ours, theirs = context.Pipe()
    context.Process(target=getattr(lifeline_child, sys.argv[2]), args=(theirs,), daemon=True).start()
    print(ours.recv(), flush=True)
    time.sleep(600)
"""


def has_ended(child: int, timeout_s: float = DEADLINE_S) -> bool:
    return bool(select.select([child], [], [], timeout_s)[0])


@pytest.mark.parametrize("start_method", ["forkserver", "spawn"])
@pytest.mark.parametrize("behaviour", ["sleeping", "stuck_in_a_c_call", "late"])
def test_a_child_dies_when_its_parent_is_killed(tmp_path: Path, start_method: str, behaviour: str) -> None:
    (tmp_path / "lifeline_child.py").write_text(CHILD)
    (tmp_path / "parent.py").write_text(PARENT)
    with subprocess.Popen(
        [sys.executable, "parent.py", start_method, behaviour],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": f"{SRC}:{tmp_path}"},
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        child = os.pidfd_open(int(parent.stdout.readline()))
        try:
            assert not has_ended(child, 0)
            parent.kill()
            assert has_ended(child)
        finally:
            parent.kill()
            if not has_ended(child, 0):
                signal.pidfd_send_signal(child, signal.SIGKILL)
            os.close(child)


def test_a_process_that_multiprocessing_did_not_start_goes_on() -> None:
    die_with_parent()


ADOPTING = """\
import psutil, subprocess
from mps_experiments.workers.lifeline import adopt_orphans
adopt_orphans()
ending = ["/bin/sh", "-c", "sleep 600 >/dev/null 2>&1 & echo $!"]
done = subprocess.run(ending, capture_output=True, check=True)
(child,) = psutil.Process().children(recursive=True)
print(int(done.stdout), child.pid)
child.kill()
child.wait()
"""


def test_a_process_whose_parent_ended_stays_among_the_descendants() -> None:
    done = run_python("-c", ADOPTING)
    orphan, child = done.stdout.split()
    assert orphan == child
