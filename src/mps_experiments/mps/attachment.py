"""The proof that workers were, or were not, clients of MPS while they were measured.

MPS falls back silently: a client that finds no daemon computes without it. So "on" is claimed only if
every worker was seen in our server's client list, and "off" only if no worker was seen in any list. The
same holds for every process that a worker started and that is on the GPU.
"""

import contextlib
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mps_experiments.errors import DaemonError
from mps_experiments.machine.gpus import GpuProbe, GpuProcess
from mps_experiments.mps.control import (
    CONTROL_PROGRAM,
    DEFAULT_PIPE_DIRECTORIES,
    PIPE_DIRECTORY,
    MpsControl,
    control_program,
)
from mps_experiments.mps.processes import mps_processes

ACTIVE = "ACTIVE"


@dataclass(frozen=True, kw_only=True)
class ForeignDaemon:
    """A daemon that we did not start: asked for its clients where it lets us, never touched.

    Attributes:
        pid: None where something answers but its process cannot be seen (another pid namespace).
        client_pids: None where it did not answer.
        gpu_uuids: The GPUs that it serves; None where it serves all, or nothing tells which.
    """

    pid: int | None
    pipe_dir: str | None
    client_pids: tuple[int, ...] | None
    gpu_uuids: tuple[str, ...] | None = None

    def may_serve(self, gpu_uuid: str) -> bool:
        """Return whether this GPU is, or may be, among those it serves."""
        return self.gpu_uuids is None or gpu_uuid in self.gpu_uuids


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What was seen at one moment; times of the system-wide monotonic clock, in nanoseconds.

    Attributes:
        server_status: Our servers and their state; empty when off or before the first client.
        client_pids: Clients of our servers.
        nvml_mps_pids: What NVML lists as MPS clients; None where it cannot tell.
        foreign_daemons: Other daemons and their clients.
        gpu_processes: Every process that NVML lists on the GPU, ours included.
        no_answer: Why our own daemon could not be asked; None if it answered.
        descendant_pids: Processes that the workers started, and theirs; none in earlier records.
    """

    from_ns: int
    to_ns: int
    server_status: dict[int, str]
    client_pids: tuple[int, ...]
    nvml_mps_pids: tuple[int, ...] | None
    foreign_daemons: tuple[ForeignDaemon, ...]
    gpu_processes: tuple[GpuProcess, ...] = ()
    no_answer: str | None = None
    descendant_pids: tuple[int, ...] = ()

    def descendants_on_gpu(self) -> set[int]:
        """Return the workers' descendants that NVML lists on the GPU, or a daemon among its clients."""
        listed = {process.pid for process in self.gpu_processes} | set(self.nvml_mps_pids or ())
        clients = set(self.client_pids).union(*(each.client_pids or () for each in self.foreign_daemons))
        return (listed | clients) & set(self.descendant_pids)


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What the observations say about one run.

    Attributes:
        expected: ``on`` or ``off``.
        method: ``during``: seen inside the window that all workers share; ``bracketed``: the window was too
            short to look into, so the same was seen just before and just after it, the workers held;
            ``before``: of a run with a fault too early to look before it, seen before the start.
        failure: None if the claim holds, else why it does not.
    """

    expected: str
    worker_pids: tuple[int, ...]
    observations: tuple[Observation, ...]
    method: str | None
    failure: str | None


def _descendants(worker_pids: Iterable[int]) -> tuple[int, ...]:
    """Return the processes below these, of one look at all processes: the workers are being measured."""
    children: dict[int, list[int]] = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
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
    """Look once.

    Args:
        control: To our own daemon; None when off.
        probe: Asked for the processes that NVML lists.
        gpu_uuid: The GPU in use; None on the CPU.
        foreign: Daemons found earlier; each is asked again.
        foreign_timeout_s: Seconds for each of them to answer.
        worker_pids: Whose descendants are looked for.
    """
    started = time.monotonic_ns()
    servers: dict[int, str] = {}
    clients: tuple[int, ...] = ()
    no_answer = None
    if control is not None:
        try:
            clients = tuple(client.pid for client in control.clients())
            servers = {pid: control.server_status(pid) for pid in control.servers()}
        except DaemonError as error:  # the judge decides what it means
            no_answer = str(error)
    return Observation(
        from_ns=started,
        server_status=servers,
        client_pids=clients,
        no_answer=no_answer,
        nvml_mps_pids=probe.mps_pids(gpu_uuid) if gpu_uuid else None,
        gpu_processes=probe.compute_processes(gpu_uuid) if gpu_uuid else (),
        foreign_daemons=tuple(_ask_again(daemon, foreign_timeout_s) for daemon in foreign),
        # Looked for last: NVML and the daemons have told only of processes that were there before.
        descendant_pids=_descendants(worker_pids),
        to_ns=time.monotonic_ns(),
    )


def find_foreign_daemons(own_pipe_dir: Path, timeout_s: float) -> tuple[ForeignDaemon, ...]:
    """Daemons on this machine other than ours, running or reachable, with their clients.

    Args:
        own_pipe_dir: Ours.
        timeout_s: Seconds for each of the others to answer.
    """
    places = filter(None, (*map(str, DEFAULT_PIPE_DIRECTORIES), os.environ.get(PIPE_DIRECTORY)))
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
        with contextlib.suppress(DaemonError, OSError):  # another user's folder may not even be looked into
            (Path(daemon.pipe_dir) / "control").stat()
            clients = tuple(c.pid for c in MpsControl(program, Path(daemon.pipe_dir), timeout_s).clients())
    return replace(daemon, client_pids=clients)


def failure_in(observation: Observation, expected_on: bool, worker_pids: Iterable[int]) -> str | None:
    """Why this observation does not support the claim; None if it does."""
    workers = set(worker_pids)
    started = observation.descendants_on_gpu()
    if expected_on:
        if observation.no_answer:
            return f"no proof of attachment, and MPS falls back silently: {observation.no_answer}"
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
    for who, pids in (("workers", workers), ("processes that the workers started,", started)):
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
    """Judge a run's observations.

    Args:
        expected_on: What the cell claims.
        worker_pids: By rank.
        observations: In order of time.
        window_ns: From the last worker's start to the first worker's end, or to the fault; None where there
            was none.
        before_is_enough: Nobody can be asked to be as before after a fault.
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
