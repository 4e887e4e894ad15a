"""Findings about MPS: its control program, daemons of others. No daemon is started here."""

import re
from collections.abc import Iterator
from pathlib import Path

import psutil

from mps_experiments.doctor.finding import Finding, Level, fail, ok, warn
from mps_experiments.errors import DaemonError
from mps_experiments.mps.attachment import ForeignDaemon, find_foreign_daemons
from mps_experiments.mps.control import CONTROL_PROGRAM, SERVER_PROGRAM, MpsControl

_NAME = "control program"
_IS_THE_DRIVERS = f"is it the driver's? See `which -a {CONTROL_PROGRAM}`; reinstall the driver's compute part"
_NO_DAEMON = "control daemon"  # of "Cannot find MPS control daemon process"
_VERSION = re.compile(rb"(?<![\d.])(\d{3}\.\d{2,3}(?:\.\d{2})?)(?![\d.])")
_MAX_PROGRAM_BYTES = 64 * 2**20


def missing_program(is_needed: bool) -> Finding:
    """There is no control program on PATH; it is needed where there is a GPU."""
    level = Level.FAIL if is_needed else Level.WARN
    todo = "install the driver's compute part (nvidia-compute-utils-... on Ubuntu); mps=off works without"
    return Finding(name=_NAME, level=level, found=f"no {CONTROL_PROGRAM} on PATH", todo=todo)


def program_finding(program: Path, empty_dir: Path, driver_version: str | None, timeout_s: float) -> Finding:
    """Whether the control program runs, and comes from this driver.

    Args:
        program: The one on PATH.
        empty_dir: A private folder without a daemon: the program is asked there, and must say so.
        driver_version: None where no GPU is in use.
        timeout_s: Seconds for its answer.
    """
    try:
        MpsControl(program, empty_dir, timeout_s).servers()
    except DaemonError as error:
        return _judged(program, str(error), driver_version)
    return fail(_NAME, f"{program} answers where there is no daemon", _IS_THE_DRIVERS)


def _judged(program: Path, said: str, driver_version: str | None) -> Finding:
    if "cannot be run" in said or "did not answer" in said:
        return fail(_NAME, f"{program}: {said}", _IS_THE_DRIVERS)
    if _NO_DAEMON not in said:
        return fail(_NAME, f"{program} does not work: {said}", _IS_THE_DRIVERS)
    if not (program.resolve().parent / SERVER_PROGRAM).exists():
        todo = f"install it: the daemon starts {SERVER_PROGRAM} for the first client"
        return warn(_NAME, f"{program} has no {SERVER_PROGRAM} beside it", todo)
    return _of_version(program, driver_version)


def _of_version(program: Path, driver_version: str | None) -> Finding:
    """The program has no option that tells its version; its file names the driver that it came with."""
    with program.open("rb") as file:
        versions = {found.decode() for found in _VERSION.findall(file.read(_MAX_PROGRAM_BYTES))}
    if driver_version in versions:
        return ok(_NAME, f"{program}, of driver {driver_version}")
    if len(versions) == 1 and driver_version is not None:
        todo = "install both from one driver package; --try-mps shows whether they work together"
        return warn(_NAME, f"{program}, of driver {versions.pop()}, not of {driver_version}", todo)
    return ok(_NAME, f"{program}, which does not tell its version")


def foreign_findings(timeout_s: float, gpu_uuid: str | None = None) -> Iterator[Finding]:
    """Ask daemons of others for their clients, and leave them alone; those on another GPU are passed over."""
    nowhere = Path("/dev/null/pipe")  # the doctor has no daemon of its own
    every = find_foreign_daemons(nowhere, timeout_s)
    found = [daemon for daemon in every if gpu_uuid is None or daemon.may_serve(gpu_uuid)]
    if not found:
        yield ok("foreign daemons", "none runs or answers")
        return
    ends = "; ".join(dict.fromkeys(_how_to_end(daemon) for daemon in found))
    yield warn(
        "foreign daemons",
        "; ".join(map(_described, found)),
        f"if nobody needs it, its owner ends it ({ends}); while it is there, mps=off is INVALID",
    )


def _described(daemon: ForeignDaemon) -> str:
    clients = "clients unknown" if daemon.client_pids is None else f"{len(daemon.client_pids)} clients"
    where = daemon.pipe_dir or "an unknown place"
    return f"pid {daemon.pid or 'unknown'} of {_user(daemon.pid)} at {where}, {clients}"


def _user(pid: int | None) -> str:
    try:
        return psutil.Process(pid).username() if pid is not None else "somebody"
    except (psutil.Error, KeyError):
        return "somebody"


def _how_to_end(daemon: ForeignDaemon) -> str:
    where = f"CUDA_MPS_PIPE_DIRECTORY={daemon.pipe_dir} " if daemon.pipe_dir else ""
    return f"echo quit | {where}{CONTROL_PROGRAM}"
