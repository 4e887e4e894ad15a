"""Tell the part of MPS in a run's failure: it ended under the workers, or refused one of them.

The CUDA error of a worker names neither.
"""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from mps_experiments.errors import DaemonError, RunError
from mps_experiments.mps.logs import line_about_exit, why_refused
from mps_experiments.run.environment import Environment
from mps_experiments.run.plan import RunPlan
from mps_experiments.run.run_state import RunState


@contextlib.contextmanager
def noting_end_of_mps(plan: RunPlan, environment: Environment, state: RunState) -> Iterator[None]:
    """Note which MPS processes are gone if the block fails. A fault may end them on purpose: then no-op."""
    daemon = environment.daemon
    try:
        yield
    except RunError:
        if daemon is not None and plan.fault is None:
            if not daemon.is_alive():
                state.mps_gone[daemon.pid] = "daemon"
            state.mps_gone |= dict.fromkeys(daemon.ended_servers(), "server")
            with contextlib.suppress(DaemonError):
                state.servers_afterwards = daemon.control.servers()
        raise


def about_mps(plan: RunPlan, state: RunState) -> str | None:
    """Explain a run's failure by MPS, from its state and its logs; None if MPS has no part in it."""
    if not plan.mps.enabled or plan.fault is not None or state.failure is None or state.interruption:
        return None
    control_log = _text(plan.paths.control_log)
    if state.mps_gone:
        return describe_end(state.mps_gone, state.servers_afterwards, control_log)
    everything = control_log + _text(plan.paths.server_log)
    return why_refused(state.failure.reason, everything, plan.worker_count)


def describe_end(
    gone: Mapping[int, str], servers_afterwards: tuple[int, ...] | None, control_log: str
) -> str:
    """Describe which MPS processes are gone (``daemon`` or ``server`` by pid) and how this was seen."""
    names = " and ".join(f"its {name} (pid {pid})" for pid, name in gone.items())
    seen = [f"MPS ended: {names} {'are' if len(gone) > 1 else 'is'} gone"]
    if servers_afterwards is not None:
        seen.append(f"servers afterwards: {', '.join(map(str, servers_afterwards)) or 'none'}")
    lines = [line_about_exit(control_log, pid) for pid in gone]
    seen += [f"control.log: {line}" for line in lines if line]
    return f"{seen[0]} ({'; '.join(seen[1:])})" if seen[1:] else seen[0]


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:  # the record says elsewhere that it could not be written
        return ""
