"""The proof that workers were, or were not, clients of MPS while they were measured.

MPS falls back silently: a client that finds no daemon computes without it. So "on" is claimed only if every
worker was seen in our server's client list, and "off" only if no worker was seen in any list. The same holds
for every process on the GPU that a worker started.
"""

import contextlib
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from mps_experiments.errors import DaemonError
from mps_experiments.machine.gpus import GpuProbe
from mps_experiments.mps.control import (
    CONTROL_PROGRAM,
    DEFAULT_PIPE_DIRECTORIES,
    PIPE_DIRECTORY,
    MpsControl,
    control_program,
)
from mps_experiments.mps.processes import mps_processes
from mps_experiments.record.proof import ForeignDaemon, Observation, Proof

ACTIVE = "ACTIVE"


def _descendants(worker_pids: Iterable[int]) -> tuple[int, ...]:
    """Return all descendants of the workers. One pass over /proc, to disturb the measurement little."""
    children: dict[int, list[int]] = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended in the meantime
            fields = (process / "stat").read_bytes().rpartition(b")")[2].split()  # state, parent, ...
            children.setdefault(int(fields[1]), []).append(int(process.name))
    found: list[int] = []
    level = [child for pid in worker_pids for child in children.get(pid, ())]
    while level:
        found += level
        level = [child for pid in level for child in children.get(pid, ())]
    return tuple(sorted(set(found)))


def observe(
    control: MpsControl | None,
    probe: GpuProbe,
    gpu_uuid: str | None,
    foreign: Sequence[ForeignDaemon],
    foreign_timeout_s: float,
    worker_pids: Iterable[int] = (),
) -> Observation:
    """Look once at who is attached to which daemon, and at who is on the GPU.

    Args:
        control: Our own daemon; None when off.
        probe: Lists the processes on the GPU.
        gpu_uuid: The GPU in use; None on the CPU.
        foreign: Daemons found earlier; each is asked again.
        foreign_timeout_s: Seconds that each of them has to answer.
        worker_pids: Processes whose descendants are looked for.
    """
    started = time.monotonic_ns()
    servers: dict[int, str] = {}
    clients: tuple[int, ...] = ()
    no_answer = None
    if control is not None:
        try:
            clients = tuple(client.pid for client in control.clients())
            servers = {pid: control.server_status(pid) for pid in control.servers()}
        except DaemonError as error:  # `failure_in` decides what it means
            no_answer = str(error)
    return Observation(
        from_ns=started,
        server_status=servers,
        client_pids=clients,
        no_answer=no_answer,
        nvml_mps_pids=probe.mps_pids(gpu_uuid) if gpu_uuid else None,
        gpu_processes=probe.compute_processes(gpu_uuid) if gpu_uuid else (),
        foreign_daemons=tuple(_ask_again(daemon, foreign_timeout_s) for daemon in foreign),
        # Last, so that every process that NVML or a daemon listed exists already.
        descendant_pids=_descendants(worker_pids),
        to_ns=time.monotonic_ns(),
    )


def find_foreign_daemons(own_pipe_dir: Path, timeout_s: float) -> tuple[ForeignDaemon, ...]:
    """Find the other daemons of this machine that run or answer, with their clients.

    Args:
        own_pipe_dir: The pipe directory of our own daemon.
        timeout_s: Seconds that each daemon has to answer.
    """
    places = [str(default) for default in DEFAULT_PIPE_DIRECTORIES]
    if inherited := os.environ.get(PIPE_DIRECTORY):
        places.append(inherited)
    by_dir: dict[str | None, ForeignDaemon] = {
        place: ForeignDaemon(pid=None, pipe_dir=place, client_pids=None) for place in places
    }
    for each in mps_processes():
        if each.program == CONTROL_PROGRAM:
            by_dir[each.pipe_dir] = ForeignDaemon(
                pid=each.pid, pipe_dir=each.pipe_dir, client_pids=None, gpu_uuids=each.gpu_uuids
            )
    by_dir.pop(str(own_pipe_dir), None)
    asked = (_ask_again(daemon, timeout_s) for daemon in by_dir.values())
    return tuple(daemon for daemon in asked if daemon.pid is not None or daemon.client_pids is not None)


def _ask_again(daemon: ForeignDaemon, timeout_s: float) -> ForeignDaemon:
    program = control_program()
    clients: tuple[int, ...] | None = None
    if program is not None and daemon.pipe_dir is not None:
        with contextlib.suppress(DaemonError, OSError):  # another user's folder may be closed to us
            (Path(daemon.pipe_dir) / "control").stat()
            clients = tuple(c.pid for c in MpsControl(program, Path(daemon.pipe_dir), timeout_s).clients())
    return replace(daemon, client_pids=clients)


def failure_in(observation: Observation, expected_on: bool, worker_pids: Iterable[int]) -> str | None:
    """Tell why an observation contradicts the claim; None if it supports it."""
    workers = set(worker_pids)
    started = observation.descendants_on_gpu()
    if expected_on:
        if observation.no_answer:
            return f"attachment is not proved, and MPS falls back silently: {observation.no_answer}"
        if missing := workers - set(observation.client_pids):
            return f"workers {sorted(missing)} are not in our MPS server's client list: they ran without MPS"
        if missing := started - set(observation.client_pids):
            return (
                f"processes {sorted(missing)}, which the workers started, are on the GPU but not in our MPS "
                "server's client list: they ran without MPS"
            )
        inactive = {pid: status for pid, status in observation.server_status.items() if status != ACTIVE}
        if inactive or not observation.server_status:
            return f"our MPS server is not ACTIVE: {inactive or 'there is none'}"
    for who, pids in (("workers", workers), ("processes started by workers", started)):
        for daemon in observation.foreign_daemons:
            if attached := pids & set(daemon.client_pids or ()):
                return f"{who} {sorted(attached)} are clients of another MPS daemon, {daemon.pipe_dir}"
        if not expected_on and (listed := pids & set(observation.nvml_mps_pids or ())):
            return f"NVML lists {who} {sorted(listed)} as MPS clients"
    return None


def prove(
    expected_on: bool,
    worker_pids: tuple[int, ...],
    observations: Sequence[Observation],
    window_ns: tuple[int, int] | None,
    before_is_enough: bool = False,
) -> Proof:
    """Judge a run by its observations.

    Args:
        expected_on: Whether the cell claims MPS.
        worker_pids: Process ids by rank.
        observations: In order of time.
        window_ns: From the last worker's start to the first worker's end or to the fault; None without one.
        before_is_enough: Accept a look before the window alone, since a fault changes who is attached.
    """
    method, failure = None, None
    for observation in observations:
        failure = failure or failure_in(observation, expected_on, worker_pids)
    if failure is None:
        method = _method(observations, window_ns, before_is_enough)
        failure = None if method else "nobody looked while the workers were measured"
    return Proof(
        expected="on" if expected_on else "off",
        worker_pids=worker_pids,
        observations=tuple(observations),
        method=method,
        failure=failure,
    )


def _method(
    observations: Sequence[Observation], window_ns: tuple[int, int] | None, before_is_enough: bool
) -> str | None:
    if window_ns is None:
        return None
    start, end = window_ns
    if any(start <= seen.from_ns and seen.to_ns <= end for seen in observations):
        return "during"
    before = any(seen.to_ns <= start for seen in observations)
    after = any(seen.from_ns >= end for seen in observations)
    if before and before_is_enough:
        return "before"
    return "bracketed" if before and after else None
