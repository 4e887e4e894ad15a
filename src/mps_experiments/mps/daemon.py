"""The life cycle of one private MPS daemon: start it, see that it answers, end it, leave nothing."""

import contextlib
import os
import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Self

from mps_experiments.errors import DaemonError
from mps_experiments.machine.cell_variables import passed_on
from mps_experiments.mps.control import (
    LOG_DIRECTORY,
    MAX_SOCKET_PATH_BYTES,
    PID_FILE,
    PIPE_DIRECTORY,
    PROTOCOL,
    MpsControl,
)
from mps_experiments.mps.logs import started_servers
from mps_experiments.mps.processes import end_processes_of, is_running
from mps_experiments.record.disk import write_atomically

_POLL_S = 0.005
_LAST_ANSWER_S = 1.0  # for a question just before the deadline, so that its answer can tell the cause


@dataclass(frozen=True, kw_only=True)
class DaemonTimeouts:
    """Deadlines in seconds.

    Attributes:
        start_s: From the start to the first answer.
        command_s: For each later command.
        quit_s: To be gone, after each request to end.
    """

    start_s: float
    command_s: float
    quit_s: float


class MpsDaemon:
    """A private daemon for one GPU: a context manager whose exit always runs every step.

    Args:
        program: The control program.
        folder: A private folder (0700); ``pipe`` and ``log`` are made in it.
        gpu_uuid: The only GPU that its clients see.
        timeouts: Deadlines.
        control_log: File for the daemon's lines, written when it has ended.
        server_log: File for the servers' lines.
    """

    def __init__(
        self,
        *,
        program: Path,
        folder: Path,
        gpu_uuid: str,
        timeouts: DaemonTimeouts,
        control_log: Path,
        server_log: Path,
    ) -> None:
        self._program, self._gpu_uuid, self._timeouts = program, gpu_uuid, timeouts
        self._control_log, self._server_log = control_log, server_log
        self.pipe_dir, self._log_dir = folder / "pipe", folder / "log"
        self._raw_log = self._log_dir / "daemon.log"
        self.control = MpsControl(program, self.pipe_dir, timeouts.command_s)

    def __enter__(self) -> Self:
        socket = self.pipe_dir / "control_privileged"
        if len(os.fsencode(socket)) > MAX_SOCKET_PATH_BYTES:
            raise DaemonError(f"the MPS socket path {socket} is longer than {MAX_SOCKET_PATH_BYTES} bytes")
        self.pipe_dir.mkdir(mode=0o700, exist_ok=True)
        self._log_dir.mkdir(mode=0o700, exist_ok=True)
        with self._raw_log.open("wb") as log:
            self._process = self._launch(passed_on(os.environ, self._variables()), log)
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        return self._process.pid

    def _variables(self) -> dict[str, str]:
        """Return the variables of the daemon and its servers. A cap on all of its clients belongs here."""
        return PROTOCOL | {
            PIPE_DIRECTORY: str(self.pipe_dir),
            LOG_DIRECTORY: str(self._log_dir),
            "CUDA_VISIBLE_DEVICES": self._gpu_uuid,
        }

    def _launch(self, environment: dict[str, str], log: IO[bytes]) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                [str(self._program), "-f"],  # in the foreground: a child that can be waited for
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C must reach only the runner, which ends the daemon in order
            )
        except OSError as error:
            raise DaemonError(f"{self._program} cannot be run: {error.strerror}") from error

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + self._timeouts.start_s
        while True:
            if self._process.poll() is not None:
                raise DaemonError(
                    f"the MPS daemon ended at once with code {self._process.returncode}: {self._last_line()}"
                )
            left_s = max(_LAST_ANSWER_S, deadline - time.monotonic())
            try:
                replace(self.control, timeout_s=min(self._timeouts.command_s, left_s)).servers()
            except DaemonError as error:
                if time.monotonic() > deadline:
                    raise DaemonError(
                        f"the MPS daemon did not answer within {self._timeouts.start_s:g} s ({error})"
                    ) from error
                time.sleep(_POLL_S)
            else:
                break
        written = self._pid_in_file()
        if written is None:
            raise DaemonError(f"{self._program} answers, but is not an MPS daemon: it wrote no pid file")
        if written != self.pid:
            raise DaemonError(
                f"another daemon answers in {self.pipe_dir}: pid {written}, not ours ({self.pid})"
            )

    def _pid_in_file(self) -> int | None:
        try:
            return int((self.pipe_dir / PID_FILE).read_text())
        except (OSError, ValueError):
            return None

    def is_alive(self) -> bool:
        """Return whether the daemon still runs; a zombie counts as gone."""
        return self._process.poll() is None

    def ended_servers(self) -> tuple[int, ...]:
        """List the process ids of the servers that it started and that are gone."""
        started = started_servers(self._raw_log.read_text(errors="replace"))
        return tuple(pid for pid in started if not is_running(pid))

    def kill(self) -> None:
        """Kill the daemon alone, not its servers, and wait until it is gone."""
        self._process.kill()
        self._wait()

    def stop(self) -> None:
        """End the daemon by ``quit``, SIGTERM and SIGKILL in turn, then end its servers and keep the logs.

        Signals go only to our child and to processes whose environment names this pipe directory. Each step
        has its deadline, and one that fails does not skip the next.
        """
        with contextlib.ExitStack() as steps:  # run from the last to the first
            steps.callback(self._keep_logs)
            steps.callback(end_processes_of, self.pipe_dir, self._timeouts.quit_s)
            steps.callback(self._end, self._process.kill)
            steps.callback(self._end, self._process.terminate)
            with contextlib.suppress(DaemonError):
                if self.is_alive():
                    self.control.quit(self._timeouts.quit_s)
            self._wait()

    def _end(self, ask: Callable[[], None]) -> None:
        """Ask the daemon to end, if it still runs, and wait for it: one step of the escalation."""
        if self.is_alive():
            ask()
            self._wait()

    def _wait(self) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(self._timeouts.quit_s)

    def _last_line(self) -> str:
        lines = self._raw_log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it left no message"

    def _keep_logs(self) -> None:
        """Split the stream that the daemon and its servers share, by the tag of each line."""
        with contextlib.suppress(OSError):
            lines = self._raw_log.read_text(errors="replace").splitlines(keepends=True)
            is_server = re.compile(r"^\[[^]]*\bServer\s+\d+\]")
            for path, from_server in ((self._control_log, False), (self._server_log, True)):
                text = "".join(line for line in lines if bool(is_server.match(line)) is from_server)
                write_atomically(path, text.encode())
