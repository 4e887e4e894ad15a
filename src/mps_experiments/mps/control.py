"""The dialogue with ``nvidia-cuda-mps-control``: the only file that knows its commands and answers."""

import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mps_experiments.errors import DaemonError
from mps_experiments.machine.cell_variables import passed_on

CONTROL_PROGRAM = "nvidia-cuda-mps-control"
SERVER_PROGRAM = "nvidia-cuda-mps-server"
PIPE_DIRECTORY = "CUDA_MPS_PIPE_DIRECTORY"
LOG_DIRECTORY = "CUDA_MPS_LOG_DIRECTORY"
DEFAULT_PIPE_DIRECTORY = Path("/tmp/nvidia-mps")  # noqa: S108 - where every CUDA process looks by default
# From driver 615 on, root's daemon uses the second.
DEFAULT_PIPE_DIRECTORIES = (DEFAULT_PIPE_DIRECTORY, Path("/run/nvidia-mps"))
# Drivers from 615 on speak a newer protocol with other commands and answers by default.
PROTOCOL = {"CUDA_MPS_PROTOCOL_VERSION": "2"}
PID_FILE = "nvidia-cuda-mps-control.pid"
_POLL_S = 0.002
MAX_SOCKET_PATH_BYTES = 106  # with one more the daemon exits with code 1 and no message (driver 580)


@dataclass(frozen=True, kw_only=True)
class MpsClient:
    """One line of ``ps``: a process attached to an MPS server."""

    pid: int
    server_pid: int
    device: str


def control_program() -> Path | None:
    """Find the control program on PATH; None if it is not there."""
    found = shutil.which(CONTROL_PROGRAM)
    return Path(found) if found else None


@dataclass(frozen=True)
class MpsControl:
    """A client of the daemon that listens in one pipe directory.

    Every method raises `DaemonError` if the daemon cannot be reached or does not answer in time.
    """

    program: Path
    pipe_dir: Path
    timeout_s: float

    def servers(self) -> tuple[int, ...]:
        """List the process ids of the running servers; empty before the first client."""
        return parse_pids(self._send("get_server_list"))

    def clients(self) -> tuple[MpsClient, ...]:
        """List the attached clients of all servers."""
        return parse_clients(self._send("ps"))

    def server_status(self, server_pid: int) -> str:
        """Return ``ACTIVE`` while a server can serve, else what the daemon answers."""
        return self._send(f"get_server_status {server_pid}").strip()

    def server_states(self) -> dict[int, str]:
        """Return the status of each running server; omit one that ends between the two questions."""
        states = {pid: self.server_status(pid) for pid in self.servers()}
        return {pid: status for pid, status in states.items() if status != f"Server {pid} not found"}

    def terminate_client(self, server_pid: int, client_pid: int) -> None:
        """End one client in the way that NVIDIA documents; killing it is undefined behaviour."""
        answer = self._send(f"terminate_client {server_pid} {client_pid}").split("\n")
        code = [line for line in answer if line.strip()][-1:]
        if code not in ([], ["0"]):  # a CUresult; the program exits with 0 in any case
            raise DaemonError(f"the MPS daemon did not terminate client {client_pid}: {' '.join(answer)}")

    def quit(self, grace_s: float) -> None:
        """Ask the daemon to end. It forces servers that still have clients after `grace_s` seconds."""
        self._send(f"quit -t {max(1, round(grace_s))}", extra_s=grace_s)

    def _send(self, command: str, extra_s: float = 0.0) -> str:
        with _turn(self.pipe_dir, self.timeout_s):
            return self._ask(command, extra_s)

    def _ask(self, command: str, extra_s: float) -> str:
        try:
            result = subprocess.run(
                [str(self.program)],
                input=command + "\n",
                env=passed_on(os.environ, PROTOCOL | {PIPE_DIRECTORY: str(self.pipe_dir)}),
                capture_output=True,
                text=True,
                errors="replace",
                timeout=self.timeout_s + extra_s,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise DaemonError(
                f"the MPS daemon did not answer {command!r} within {error.timeout:.2g} s"
            ) from error
        except OSError as error:
            raise DaemonError(f"{self.program} cannot be run: {error.strerror}") from error
        if result.returncode != 0:
            said = " ".join((result.stderr or result.stdout).split()) or f"exit code {result.returncode}"
            raise DaemonError(f"the MPS daemon refused {command!r}: {said}")
        return result.stdout


@contextlib.contextmanager
def _turn(pipe_dir: Path, timeout_s: float) -> Iterator[None]:
    """Let one of our threads or processes at a time ask a daemon. Nothing is written into its directory.

    With two questions at once, a daemon refuses about one command in ten and answers a few with nothing, as
    if it had no server and no client (driver 580).
    """
    with contextlib.ExitStack() as stack:
        try:
            directory = os.open(pipe_dir, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:  # the control program reports what is wrong with it
            directory = None
        if directory is not None:
            stack.callback(os.close, directory)
            _lock(directory, timeout_s)
        yield


def _lock(directory: int, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                raise DaemonError(
                    f"the MPS daemon was busy with other questions for {timeout_s:.2g} s"
                ) from error
            time.sleep(_POLL_S)
        except OSError:  # not every file system can lock a folder
            return None


def parse_pids(text: str) -> tuple[int, ...]:
    """Parse the lines that are one number; the others are messages for people.

    >>> parse_pids("476\\nServer 1 not found\\n")
    (476,)
    """
    return tuple(int(line) for line in text.split("\n") if re.fullmatch(r"\s*[0-9]{1,10}\s*", line))


def parse_clients(text: str) -> tuple[MpsClient, ...]:
    """Parse the rows of ``ps``: PID ID SERVER DEVICE NAMESPACE COMMAND. Skip anything else."""
    rows = re.findall(
        r"^[ \t]*([0-9]{1,10})[ \t]+[0-9]+[ \t]+([0-9]{1,10})[ \t]+(\S+)\s",
        text + "\n",
        flags=re.MULTILINE | re.ASCII,
    )
    return tuple(
        MpsClient(pid=int(pid), server_pid=int(server), device=device) for pid, server, device in rows
    )
