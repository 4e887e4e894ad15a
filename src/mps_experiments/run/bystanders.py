"""Name, in words, the other processes that used the GPU or served MPS during a run."""

from mps_experiments.record.proof import Observation
from mps_experiments.run.plan import RunPlan
from mps_experiments.run.run_state import RunState


def foreign_load(plan: RunPlan, state: RunState) -> tuple[str, ...]:
    """Describe the other processes that were seen on the GPU."""
    environment = state.environment
    if environment is None or plan.device.is_cpu:
        return ()
    workers = {worker.pid for worker in state.workers}
    before = {process.pid for process in environment.foreign_processes}
    during = {pid for seen in state.observations for pid in _strangers(seen, workers)} - before
    return (
        *(f"process {pid} was on the GPU before the workers" for pid in sorted(before)),
        *(f"process {pid} came to the GPU during the run" for pid in sorted(during)),
    )


def foreign_daemons(plan: RunPlan, state: RunState) -> tuple[str, ...]:
    """Describe the MPS daemons of others that were seen and may serve this GPU."""
    environment, gpu = state.environment, plan.device.gpu
    if environment is None or gpu is None:
        return ()
    daemons = {daemon.pipe_dir: daemon for seen in state.observations for daemon in seen.foreign_daemons}
    daemons |= {daemon.pipe_dir: daemon for daemon in environment.foreign_daemons}
    return tuple(
        f"a foreign MPS daemon (pid {daemon.pid}) serves {pipe_dir or 'an unknown directory'}"
        for pipe_dir, daemon in daemons.items()
        if daemon.may_serve(gpu.uuid)
    )


def _strangers(seen: Observation, worker_pids: set[int]) -> set[int]:
    """Return processes on the GPU that are not ours; none if NVML reports pids of another namespace."""
    listed = {process.pid for process in seen.gpu_processes}
    own = worker_pids | set(seen.server_status) | set(seen.descendant_pids)
    return listed - own if listed & own else set()
