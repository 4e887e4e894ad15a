"""Whatever a worker started is gone when the worker is, however it ends: real processes, real signals."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from mps_experiments.workers.keeper import print_into
from tests.conftest import SRC
from tests.fakes.plans import running, wait_until

DEADLINE_S = 30.0

# A tree of four: a child, its child, one with a session of its own, and a daemon after a double fork.
CHILD = """\
import os, json, signal, subprocess, sys, time
from mps_experiments.workers.keeper import under_keeper
from mps_experiments.workers.lifeline import adopt_orphans, die_with_parent

PYTHON = [sys.executable, "-c"]
SLEEP = [*PYTHON, '''
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
print("up", flush=True)
signal.pause()
''']
FORKED = [*PYTHON, f'''
import subprocess
process = subprocess.Popen({SLEEP!r}, stdout=subprocess.PIPE)
process.stdout.readline()
print(process.pid, flush=True)
process.wait()
''']
DAEMON = [*PYTHON, f'''
import os, subprocess
os.setsid()
process = subprocess.Popen({SLEEP!r}, start_new_session=True, stdout=subprocess.PIPE)
process.stdout.readline()
print(process.pid, flush=True)
''']

def begin(how, pipe):
    under_keeper()
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    die_with_parent()
    if how != "no subreaper":
        adopt_orphans()
    child = subprocess.Popen(FORKED, stdout=subprocess.PIPE)
    grandchild = int(child.stdout.readline())
    alone = subprocess.Popen(SLEEP, start_new_session=True, stdout=subprocess.PIPE)
    alone.stdout.readline()
    double = subprocess.Popen(DAEMON, stdout=subprocess.PIPE)
    daemon = int(double.stdout.readline())
    double.wait()
    pipe.send([os.getppid(), os.getpid(), child.pid, grandchild, alone.pid, daemon])
    pipe.recv()
    os._exit(7)

def forks_on(path, pipe):
    under_keeper()
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    die_with_parent()
    os.open(path, os.O_WRONLY)
    if os.fork() == 0:
        for _ in range(5000):  # each is gone as soon as it has a successor
            if os.fork():
                os._exit(0)
        os._exit(0)
    pipe.send([os.getppid(), os.getpid()])
    pipe.recv()
"""
PARENT = """\
import json, multiprocessing, sys
from multiprocessing import forkserver
import keeper_child

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    ours, theirs = context.Pipe()
    target = getattr(keeper_child, sys.argv[2])
    process = context.Process(target=target, args=(sys.argv[3], theirs), daemon=True)
    process.start()
    theirs.close()
    print(json.dumps([forkserver._forkserver._forkserver_pid, *ours.recv()]), flush=True)
    for line in sys.stdin:
        if line == "exit\\n":
            ours.send("exit")
        if line == "terminate\\n":
            process.terminate()
        process.join(20)
        print(process.exitcode, flush=True)
"""


class Family:
    """A parent and the worker that it started, with all that this started."""

    def __init__(self, parent: subprocess.Popen[str], pids: list[int]) -> None:
        self.parent = parent
        self.server_pid, self.keeper_pid, self.worker_pid = pids[:3]
        self.tree = [psutil.Process(pid) for pid in pids[1:]]

    def say(self, word: str) -> str:
        """Tell the parent what to do to its worker; return the exit code that the parent sees."""
        assert self.parent.stdin is not None
        assert self.parent.stdout is not None
        self.parent.stdin.write(f"{word}\n")
        self.parent.stdin.flush()
        return self.parent.stdout.readline().strip()


Start = Callable[..., Family]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a family; all of it is gone afterwards in any case."""
    (tmp_path / "keeper_child.py").write_text(CHILD)
    (tmp_path / "parent.py").write_text(PARENT)
    with ExitStack() as stack:

        def run(method: str = "forkserver", behaviour: str = "begin", how: str = "") -> Family:
            parent = subprocess.Popen(
                [sys.executable, "parent.py", method, behaviour, how],
                cwd=tmp_path,
                env=os.environ | {"PYTHONPATH": f"{SRC}:{tmp_path}"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            stack.enter_context(parent)
            stack.callback(parent.kill)
            assert parent.stdout is not None
            family = Family(parent, json.loads(parent.stdout.readline()))
            stack.callback(kill_all, family)
            assert running(family.tree) == family.tree
            return family

        yield run


def kill_all(family: Family) -> None:
    for process in running(family.tree):
        process.kill()


def assert_all_gone(family: Family) -> None:
    wait_until(lambda: not running(family.tree), "all of it is gone", DEADLINE_S)


@pytest.mark.parametrize("how", ["subreaper", "no subreaper"])
@pytest.mark.parametrize(
    ("method", "end", "code"),
    [
        ("forkserver", "exit", 7),
        ("spawn", "exit", 7),
        ("forkserver", signal.SIGKILL, -9),
        ("spawn", signal.SIGKILL, -9),
        ("forkserver", signal.SIGSEGV, -11),
        ("forkserver", "terminate", -9),
    ],
)
def test_a_worker_takes_its_tree_with_it_before_it_counts_as_ended(
    start: Start, method: str, how: str, end: str | signal.Signals, code: int
) -> None:
    """The word `terminate` sends SIGTERM to the keeper; a signal goes to the worker."""
    family = start(method, how=how)
    if isinstance(end, signal.Signals):
        os.kill(family.worker_pid, end)
    assert family.say(end if isinstance(end, str) else "join") == str(code)
    assert running(family.tree) == []


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
@pytest.mark.parametrize("how", ["subreaper", "no subreaper"])
def test_a_killed_parent_leaves_nothing(start: Start, method: str, how: str) -> None:
    family = start(method, how=how)
    family.parent.kill()
    assert_all_gone(family)


def test_a_killed_fork_server_leaves_worker_and_keeper_at_work_until_the_parent_ends(start: Start) -> None:
    family = start()
    server = psutil.Process(family.server_pid)
    server.kill()
    wait_until(lambda: not running([server]), "the fork server is gone", DEADLINE_S)
    assert running(family.tree) == family.tree
    family.parent.kill()
    assert_all_gone(family)


def test_a_killed_keeper_takes_the_worker_with_it(start: Start) -> None:
    family = start()
    worker = psutil.Process(family.worker_pid)
    os.kill(family.keeper_pid, signal.SIGKILL)
    wait_until(lambda: not running([worker]), "the worker is gone", DEADLINE_S)


def test_processes_that_fork_on_and_on_are_caught(start: Start, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "open")
    reading = os.open(tmp_path / "open", os.O_RDONLY | os.O_NONBLOCK)
    try:
        family = start(behaviour="forks_on", how=str(tmp_path / "open"))
        with pytest.raises(BlockingIOError):
            os.read(reading, 1)
        os.kill(family.worker_pid, signal.SIGKILL)
        assert family.say("join") == "-9"
        assert os.read(reading, 1) == b"", "whoever has it open for writing is one of them"
    finally:
        os.close(reading)


def test_all_that_is_printed_is_in_the_file_also_what_c_libraries_print(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        print_into(str(tmp_path / "log"))
        sys.stdout.write("to standard output\n")
        sys.stderr.write("to standard error\n")
        os.write(2, b"by a C library\n")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert (tmp_path / "log").read_text().splitlines() == [
        "to standard output",
        "to standard error",
        "by a C library",
    ]


def test_a_keeper_touches_nobody_else(start: Start) -> None:
    first, second = start(), start()
    os.kill(first.worker_pid, signal.SIGKILL)
    assert first.say("join") == "-9"
    assert running(second.tree) == second.tree
