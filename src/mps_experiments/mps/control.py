"""The dialogue with ``nvidia-cuda-mps-control``; the only file that knows its commands and answers."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from mps_experiments.errors import DaemonError

CONTROL_PROGRAM = "nvidia-cuda-mps-control"
SERVER_PROGRAM = "nvidia-cuda-mps-server"
PIPE_DIRECTORY = "CUDA_MPS_PIPE_DIRECTORY"
LOG_DIRECTORY = "CUDA_MPS_LOG_DIRECTORY"
DEFAULT_PIPE_DIRECTORY = Path("/tmp/nvidia-mps")  # noqa: S108 - where every CUDA process looks by default
MAX_SOCKET_PATH_BYTES = 106  # one more and the daemon exits with code 1 and no word (seen with 580)


@dataclass(frozen=True, kw_only=True)
class MpsClient:
    """One line of ``ps``: a process attached to an MPS server."""

    pid: int
    server_pid: int
    device: str


def control_program() -> Path | None:
    """The control program on PATH, None where there is none."""
    found = shutil.which(CONTROL_PROGRAM)
    return Path(found) if found else None


def daemon_command(program: Path) -> list[str]:
    """Run the control daemon in the foreground, so that it is a child that can be waited for."""
    return [str(program), "-f"]


@dataclass(frozen=True)
class MpsControl:
    """Sends commands to the daemon that listens in one pipe directory.

    Every method raises DaemonError if the daemon cannot be reached or does not answer in time.
    """

    program: Path
    pipe_dir: Path
    timeout_s: float

    def servers(self) -> tuple[int, ...]:
        """Process ids of the running servers; empty before the first client."""
        return parse_pids(self._send("get_server_list"))

    def clients(self) -> tuple[MpsClient, ...]:
        """All attached clients of all servers."""
        return parse_clients(self._send("ps"))

    def server_status(self, server_pid: int) -> str:
        """``ACTIVE`` while a server can serve, else what the daemon says."""
        return self._send(f"get_server_status {server_pid}").strip()

    def quit(self, grace_s: float) -> None:
        """Ask the daemon to end; servers with clients are forced after `grace_s` seconds."""
        self._send(f"quit -t {max(1, round(grace_s))}", extra_s=grace_s)

    def _send(self, command: str, extra_s: float = 0.0) -> str:
        try:
            result = subprocess.run(
                [str(self.program)],
                input=command + "\n",
                env={**os.environ, PIPE_DIRECTORY: str(self.pipe_dir)},
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


def parse_pids(text: str) -> tuple[int, ...]:
    """The lines that are one number; other lines are messages for people.

    >>> parse_pids("476\\nServer 1 not found\\n")
    (476,)
    """
    return tuple(int(line) for line in text.split("\n") if re.fullmatch(r"\s*[0-9]{1,10}\s*", line))


def parse_clients(text: str) -> tuple[MpsClient, ...]:
    """The rows of ``ps``: PID ID SERVER DEVICE NAMESPACE COMMAND; anything else is passed over."""
    rows = re.findall(
        r"^\s*([0-9]{1,10})\s+[0-9]+\s+([0-9]{1,10})\s+(\S+)\s", text + "\n", flags=re.MULTILINE | re.ASCII
    )
    return tuple(
        MpsClient(pid=int(pid), server_pid=int(server), device=device) for pid, server, device in rows
    )
