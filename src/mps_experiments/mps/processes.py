"""Find and end the MPS processes of one pipe directory, without touching any other."""

import contextlib
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from mps_experiments.mps.control import (
    CONTROL_PROGRAM,
    DEFAULT_PIPE_DIRECTORIES,
    DEFAULT_PIPE_DIRECTORY,
    PID_FILE,
    PIPE_DIRECTORY,
    SERVER_PROGRAM,
)

_POLL_S = 0.005
# Only whole UUIDs: CUDA takes a prefix as well, which names no GPU by itself.
_UUID = re.compile("GPU-[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True, kw_only=True)
class MpsProcess:
    """A control daemon or a server. Its start time tells it from a process that gets its pid later.

    Attributes:
        pid: Process id.
        program: `CONTROL_PROGRAM` or `SERVER_PROGRAM`.
        pipe_dir: Pipe directory; None if its environment cannot be read (another user's process).
        started_s: Start time, seconds since the epoch.
        gpu_uuids: The GPUs that it sees; None if it sees all or this is unknown.
    """

    pid: int
    program: str
    pipe_dir: str | None
    started_s: float
    gpu_uuids: tuple[str, ...] | None = None


def mps_processes() -> Iterator[MpsProcess]:
    """List every MPS control daemon and server that runs on this machine; a zombie counts as gone."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            program = _program(process)
            if program is not None and process.status() != psutil.STATUS_ZOMBIE:
                environment = None
                with contextlib.suppress(psutil.Error):
                    environment = process.environ()
                yield MpsProcess(
                    pid=process.pid,
                    program=program,
                    pipe_dir=None if environment is None else _pipe_dir(process.pid, environment),
                    started_s=process.create_time(),
                    gpu_uuids=None if environment is None else _gpu_uuids(environment),
                )


def processes_of(pipe_dir: Path) -> tuple[MpsProcess, ...]:
    """List the daemon and the servers whose environment names this pipe directory."""
    return tuple(process for process in mps_processes() if process.pipe_dir == str(pipe_dir))


def kill_servers_of(pipe_dir: Path) -> tuple[int, ...]:
    """Kill the MPS servers of this pipe directory and return their process ids. Each is verified first."""
    killed = []
    for ours in processes_of(pipe_dir):
        process = _same(ours) if ours.program == SERVER_PROGRAM else None
        if process is not None:
            with contextlib.suppress(psutil.Error):
                process.kill()
                killed.append(process.pid)
    return tuple(killed)


def end_processes_of(pipe_dir: Path, timeout_s: float) -> None:
    """Send SIGTERM, then SIGKILL, to the MPS processes of this pipe directory, each verified first."""
    for ask in (psutil.Process.terminate, psutil.Process.kill):
        found = [process for ours in processes_of(pipe_dir) if (process := _same(ours)) is not None]
        if not found:
            return
        for process in found:
            with contextlib.suppress(psutil.Error):
                ask(process)
        _wait_until_gone(found, timeout_s)


def _wait_until_gone(processes: list[psutil.Process], timeout_s: float) -> None:
    """Wait until none runs. A zombie counts as gone, unlike in `psutil.wait_procs`: pid 1 may not reap it."""
    deadline = time.monotonic() + timeout_s
    while any(map(_runs, processes)) and time.monotonic() < deadline:
        time.sleep(_POLL_S)


def _runs(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def is_running(pid: int) -> bool:
    """Return whether such a process runs; a zombie counts as gone."""
    try:
        return _runs(psutil.Process(pid))
    except psutil.Error:
        return False


def _same(ours: MpsProcess) -> psutil.Process | None:
    """Return the process if its pid still has the same start time and program; None otherwise."""
    try:
        process = psutil.Process(ours.pid)
        same = process.create_time() == ours.started_s and _program(process) == ours.program
    except psutil.Error:
        return None
    return process if same else None


def _program(process: psutil.Process) -> str | None:
    """Return the MPS program that a process runs; None for any other. Without a flag it is no daemon.

    The first two words of the command are compared, since the first word of a script is its interpreter.
    """
    if not process.name().startswith(("nvidia-cuda-mps", "python")):
        return None
    command = process.cmdline()
    names = {Path(word).name for word in command[:2]}
    if CONTROL_PROGRAM in names and any(word.startswith("-") for word in command[1:]):
        return CONTROL_PROGRAM
    return SERVER_PROGRAM if SERVER_PROGRAM in names else None


def _pipe_dir(pid: int, environment: Mapping[str, str]) -> str:
    """Return the pipe directory: from the variable, else the default one whose pid file names the process."""
    if PIPE_DIRECTORY in environment:
        return environment[PIPE_DIRECTORY]
    for default in DEFAULT_PIPE_DIRECTORIES:
        with contextlib.suppress(OSError):
            if (default / PID_FILE).read_text().strip() == str(pid):
                return str(default)
    return str(DEFAULT_PIPE_DIRECTORY)


def _gpu_uuids(environment: Mapping[str, str]) -> tuple[str, ...] | None:
    """Return the GPU UUIDs in CUDA_VISIBLE_DEVICES; None for numbers, whose order only CUDA knows."""
    named = [entry.strip() for entry in environment.get("CUDA_VISIBLE_DEVICES", "").split(",")]
    return tuple(named) if all(_UUID.fullmatch(entry) for entry in named) else None
