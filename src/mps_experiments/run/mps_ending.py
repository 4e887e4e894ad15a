"""Find the part of MPS in a run's failure: it ended under the workers, or refused one of them.

The CUDA error of a worker names neither.
"""

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from mps_experiments.errors import DaemonError, RunError
from mps_experiments.mps.daemon import MpsDaemon
from mps_experiments.mps.end_watch import End, EndWatch
from mps_experiments.mps.logs import line_about_exit, why_refused
from mps_experiments.run.environment import Environment
from mps_experiments.run.plan import RunPlan
from mps_experiments.run.run_state import RunState

_DAEMON, _SERVER = "daemon", "server"


@contextlib.contextmanager
def noting_end_of_mps(plan: RunPlan, environment: Environment, state: RunState) -> Iterator[None]:
    """Note which MPS processes are gone if the block fails. A fault may end them on purpose: then no-op."""
    daemon = environment.daemon
    try:
        yield
    except RunError:
        if daemon is not None and plan.fault is None:
            known = {end.pid for end in state.mps_ends}
            state.mps_ends += [end for end in _gone(daemon) if end.pid not in known]
            state.servers_afterwards = _servers_of(daemon)
        raise


@contextlib.contextmanager
def watching_mps(plan: RunPlan, environment: Environment, state: RunState) -> Iterator[None]:
    """Note the moment at which the daemon or a server ends in the block, which is the measured window."""
    daemon = environment.daemon
    if daemon is None or plan.fault is not None:
        yield
        return
    servers = {pid for seen in state.observations for pid in seen.server_status}
    # The daemon comes first: its end also ends its servers.
    watch = EndWatch({daemon.pid: _DAEMON} | dict.fromkeys(servers, _SERVER))
    try:
        with watch:
            yield
    finally:
        state.mps_ends += watch.ends


def about_mps(plan: RunPlan, state: RunState) -> str | None:
    """Explain a run's failure by MPS, from its state and its logs; None if MPS has no part in it."""
    if not plan.mps.enabled or plan.fault is not None or state.interruption is not None:
        return None
    log = _text(plan.paths.control_log)
    if state.mps_ends:
        starts = [worker.boundaries_ns[0] for worker in state.workers if worker.boundaries_ns[0]]
        return describe_end(state.mps_ends, min(starts, default=None), state.servers_afterwards, log)
    if state.failure is None:
        return None
    everything = log + _text(plan.paths.server_log)
    return why_refused(state.failure.reason, everything, plan.worker_count)


def describe_end(
    ends: Sequence[End],
    window_start_ns: int | None,
    servers_afterwards: tuple[int, ...] | None,
    control_log: str,
) -> str:
    """Describe that MPS ended, when, and how this was seen.

    Args:
        ends: Its processes that ended, in order of time.
        window_start_ns: Start of the first worker, nanoseconds of the monotonic clock; None without one.
        servers_afterwards: Servers that the daemon listed afterwards; None if it did not answer.
        control_log: The lines of the daemon.
    """
    first = ends[0]
    into_s = None if window_start_ns is None else (first.at_ns - window_start_ns) / 1e9
    # "by": the kernel reports the end a little after the process stopped serving.
    when = f"by {into_s:.2f} s into the window" if into_s is not None and into_s >= 0 else "before the window"
    gone = " and ".join(f"its {end.name} (pid {end.pid})" for end in ends)
    seen = [f"{gone} {'are' if len(ends) > 1 else 'is'} gone"]
    if servers_afterwards is not None:
        listed = ", ".join(map(str, servers_afterwards)) or "none"
        seen.append(f"servers afterwards: {listed}")
    lines = (line_about_exit(control_log, end.pid) for end in ends if end.name == _SERVER)
    seen += [f"control.log: {line}" for line in lines if line is not None]
    return f"MPS ended {when} ({'; '.join(seen)})"


def _gone(daemon: MpsDaemon) -> list[End]:
    now = time.monotonic_ns()
    ended = [End(name=_SERVER, pid=pid, at_ns=now) for pid in daemon.ended_servers()]
    return ended if daemon.is_alive() else [End(name=_DAEMON, pid=daemon.pid, at_ns=now), *ended]


def _servers_of(daemon: MpsDaemon) -> tuple[int, ...] | None:
    try:
        return daemon.control.servers()
    except DaemonError:
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:  # the record says elsewhere that it could not be written
        return ""
