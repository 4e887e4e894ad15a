"""Commands as processes of their own, forked from one that has imported all and has a warm fork server.

A command spends most of its few seconds importing torch and MLflow. Here it is a process, too, with its own
folder, environment, output and exit code; only its imports, and the fork server of its workers, are shared.
What a test asks of start-up itself (imports, signals, a shell's streams) needs `subprocess`.
"""

import atexit
import functools
import importlib
import itertools
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

_END_TIMEOUT_S = 30.0
_RUN_TIMEOUT_S = 240.0
_POLL_S = 0.01
_IMPORTED = (
    *("mlflow.tracking", "scipy.stats", "sklearn.datasets"),
    *(
        "mps_experiments.sweep.program",
        "mps_experiments.sweep.opening",
        "mps_experiments.tracking.mlflow_tracker",
    ),
)


class Warm:
    """The process that commands are forked from.

    Args:
        folder: For what the commands print.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._count = itertools.count()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fakes.warm"],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def start(
        self, module: str, arguments: Sequence[str], cwd: Path, environment: Mapping[str, str]
    ) -> "Running":
        """Begin ``python -m MODULE ARGUMENTS``."""
        number = next(self._count)
        out, err = (self.folder / f"{number}.{name}" for name in ("out", "err"))
        asked = {
            "module": module,
            "arguments": [*arguments],
            "cwd": str(cwd),
            "environment": dict(environment),
            "out": str(out),
            "err": str(err),
        }
        return Running(self, int(self.ask(asked)), [sys.executable, "-m", module, *arguments], out, err)

    def run(
        self, module: str, arguments: Sequence[str], cwd: Path, environment: Mapping[str, str]
    ) -> "subprocess.CompletedProcess[str]":
        """Run ``python -m MODULE ARGUMENTS`` to its end."""
        return self.start(module, arguments, cwd, environment).finish()

    def ask(self, question: dict[str, Any]) -> str:
        """Send the process a question and return its answer; it never takes long."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()

    def close(self) -> None:
        self._process.communicate(timeout=_END_TIMEOUT_S)


@dataclass
class Running:
    """A command under way, with what tests use of `subprocess.Popen`."""

    parent: Warm
    pid: int
    args: list[str]
    out: Path
    err: Path
    returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None and (answer := self.parent.ask({"ended": self.pid})):
            self.returncode = int(answer)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float = _RUN_TIMEOUT_S) -> tuple[str, str]:
        """Wait for its end.

        Returns:
            What it printed and what it complained of.

        Raises:
            subprocess.TimeoutExpired: If it does not end; it goes on.
        """
        deadline = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(self.args, timeout)
            time.sleep(_POLL_S)
        return self.out.read_text(), self.err.read_text()

    def finish(self) -> "subprocess.CompletedProcess[str]":
        """Wait for its end."""
        out, err = self.communicate()
        assert self.returncode is not None
        return subprocess.CompletedProcess(self.args, self.returncode, out, err)


@functools.cache
def warm() -> Warm:
    """Return the one that all tests of this process share."""
    folder = tempfile.TemporaryDirectory(prefix="mpst-warm-")
    started = Warm(Path(folder.name))
    atexit.register(folder.cleanup)
    atexit.register(started.close)  # runs first
    return started


def _serve() -> None:
    """Answer each line of standard input: begin a command, or tell the exit code of one that has ended."""
    from multiprocessing import forkserver

    from mps_experiments.workers import context

    for name in _IMPORTED:
        importlib.import_module(name)
    context.process_context("forkserver")
    server: Any = forkserver._forkserver
    for line in sys.stdin:
        asked = json.loads(line)
        if "ended" in asked:
            pid, status = os.waitpid(asked["ended"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else ""
        elif (answer := os.fork()) == 0:
            _become(asked, server)
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


def _become(asked: dict[str, Any], server: Any) -> NoReturn:
    """Be the command that was asked for."""
    import runpy

    for number, path in ((0, os.devnull), (1, asked["out"]), (2, asked["err"])):
        opened = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    tempfile.tempdir = None  # as TMPDIR says now
    sys.path.insert(0, asked["cwd"])
    sys.argv = [asked["module"], *asked["arguments"]]
    _share(server)
    code: object = 0
    try:
        runpy.run_module(asked["module"], run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)


def _share(server: Any) -> None:
    """Use the fork server of the parent; one that is to import something else is this process's own."""
    from multiprocessing import forkserver

    from mps_experiments.workers import context

    # The guardian removes this process's folder of multiprocessing, so it is not the server's.
    multiprocessing.current_process()._config.pop("tempdir", None)  # type: ignore[attr-defined]
    own = type(server).ensure_running
    server._forkserver_pid = None  # it is no child of this process, which could not wait for it

    def end_shared() -> None:
        server._forkserver_address = None
        server._forkserver_alive_fd = None
        server.ensure_running = own.__get__(server)
        forkserver.ensure_running = server.ensure_running
        context._end_server = end_own

    end_own = context._end_server
    context._end_server = end_shared
    server.ensure_running = lambda: None
    forkserver.ensure_running = server.ensure_running


if __name__ == "__main__":
    _serve()
