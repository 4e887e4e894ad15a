"""Commands as processes of their own, forked from one that has imported everything and has a warm fork server.

A command spends most of its few seconds importing torch and MLflow. Here it is a process, too, with its own
folder, environment, output and exit code; only its imports, and the fork server of its workers, are shared.
What a test asks of start-up itself (imports, signals, a shell's streams) needs `subprocess`.
"""

import atexit
import functools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

_END_TIMEOUT_S = 30.0


class Warm:
    """The process that commands are forked from.

    Args:
        folder: For what the commands print.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fakes.warm"],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(
        self, module: str, arguments: tuple[str, ...], cwd: Path, environment: Mapping[str, str]
    ) -> "subprocess.CompletedProcess[str]":
        """Run ``python -m MODULE ARGUMENTS`` and wait for its end."""
        self._count += 1
        out, err = (self._folder / f"{self._count}.{name}" for name in ("out", "err"))
        asked = {
            "module": module,
            "arguments": arguments,
            "cwd": str(cwd),
            "environment": dict(environment),
            "out": str(out),
            "err": str(err),
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        command = [sys.executable, "-m", module, *arguments]
        return subprocess.CompletedProcess(command, code, out.read_text(), err.read_text())

    def close(self) -> None:
        self._process.communicate(timeout=_END_TIMEOUT_S)


@functools.cache
def warm() -> Warm:
    """Return the one that all tests of this process share."""
    folder = tempfile.TemporaryDirectory(prefix="mpst-warm-")
    started = Warm(Path(folder.name))
    atexit.register(folder.cleanup)
    atexit.register(started.close)  # runs first
    return started


def _serve() -> None:
    """Answer each line of standard input, which asks for a command, with its exit code."""
    from multiprocessing import forkserver

    import mlflow.tracking
    import scipy.stats
    import sklearn.datasets  # noqa: F401

    import mps_experiments.cli
    import mps_experiments.opening
    import mps_experiments.tracking.mlflow_tracker  # noqa: F401
    from mps_experiments.workers import context

    context.process_context("forkserver")
    server: Any = forkserver._forkserver  # type: ignore[attr-defined]
    for line in sys.stdin:
        asked = json.loads(line)
        if (pid := os.fork()) == 0:
            _become(asked, server)
        _, status = os.waitpid(pid, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
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
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)


def _share(server: Any) -> None:
    """Use the fork server of the parent; one that is to import something else is this process's own."""
    from multiprocessing import forkserver

    from mps_experiments.workers import context

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
