"""Set up what a run needs on the machine before its workers start, and remove it afterwards."""

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mps_experiments.machine.gpus import GpuProbe
from mps_experiments.mps.attachment import find_foreign_daemons, observe
from mps_experiments.mps.compute_mode import EXCLUSIVE_PROCESS, set_compute_mode
from mps_experiments.mps.control import PIPE_DIRECTORY, control_program
from mps_experiments.mps.daemon import DaemonTimeouts, MpsDaemon
from mps_experiments.mps.folders import private_folder
from mps_experiments.mps.guardian import Guardian
from mps_experiments.record.machine import GpuProcess
from mps_experiments.record.proof import ForeignDaemon, Observation
from mps_experiments.run.plan import RunPlan

# A healthy daemon needs milliseconds; these leave room for a busy machine and a driver that is still loading.
DAEMON_TIMEOUTS = DaemonTimeouts(start_s=10.0, command_s=5.0, quit_s=5.0)
FOREIGN_TIMEOUT_S = 2.0  # for another's daemon, asked at each look: one that is silent counts as there
_COMPUTE_MODE_TIMEOUT_S = 30.0  # for nvidia-smi, which takes seconds to start on a host with many GPUs


@dataclass(frozen=True, kw_only=True)
class Environment:
    """The environment of one run's workers.

    Attributes:
        variables: Variables that each worker sets before its first CUDA call; see `machine.cell_variables`.
        scratch: Private folder for files from workers to the parent; removed with the environment.
        foreign_processes: Processes that were on the GPU before our workers.
        daemon: Our own MPS daemon; None without MPS.
    """

    variables: dict[str, str]
    scratch: Path
    foreign_daemons: tuple[ForeignDaemon, ...]
    foreign_processes: tuple[GpuProcess, ...]
    daemon: MpsDaemon | None
    _probe: GpuProbe
    _gpu_uuid: str | None
    _pipe_dir: Path

    def observe(self, look_again: bool = False, worker_pids: Iterable[int] = ()) -> Observation:
        """Observe who is attached now, descendants of `worker_pids` included.

        With `look_again` also search for daemons that were started since.
        """
        foreign = self.foreign_daemons
        if look_again:
            foreign = find_foreign_daemons(self._pipe_dir, FOREIGN_TIMEOUT_S)
        control = self.daemon.control if self.daemon else None
        return observe(control, self._probe, self._gpu_uuid, foreign, FOREIGN_TIMEOUT_S, worker_pids)


@contextlib.contextmanager
def open_environment(plan: RunPlan, probe: GpuProbe, guardian: Guardian) -> Iterator[Environment]:
    """Turn MPS on or off as planned until the block is left; leave nothing behind.

    Raises:
        DaemonError: If the daemon does not start or the compute mode cannot be set.
    """
    uuid = plan.device.uuid
    with contextlib.ExitStack() as stack:
        stack.enter_context(_compute_mode(plan, guardian))
        folder = stack.enter_context(private_folder(guardian))
        pipe_dir = folder / "pipe"
        pipe_dir.mkdir(mode=0o700)
        foreign_processes = probe.compute_processes(uuid) if uuid else ()
        daemon = stack.enter_context(new_daemon(plan, folder)) if plan.mps.enabled else None
        yield Environment(
            variables={PIPE_DIRECTORY: str(pipe_dir), "CUDA_VISIBLE_DEVICES": uuid or ""},
            scratch=folder,
            foreign_daemons=find_foreign_daemons(pipe_dir, FOREIGN_TIMEOUT_S),
            foreign_processes=foreign_processes,
            daemon=daemon,
            _probe=probe,
            _gpu_uuid=uuid,
            _pipe_dir=pipe_dir,
        )


@contextlib.contextmanager
def _compute_mode(plan: RunPlan, guardian: Guardian) -> Iterator[None]:
    """Set the planned compute mode for the block; if restoring it fails, the guardian tries again."""
    gpu = plan.device.gpu
    if gpu is None or not plan.mps.exclusive_process or gpu.compute_mode.upper() == EXCLUSIVE_PROCESS:
        yield
        return
    entry = guardian.will_restore(gpu.uuid, gpu.compute_mode, _COMPUTE_MODE_TIMEOUT_S)
    set_compute_mode(gpu.uuid, EXCLUSIVE_PROCESS, _COMPUTE_MODE_TIMEOUT_S)
    try:
        yield
    finally:
        set_compute_mode(gpu.uuid, gpu.compute_mode, _COMPUTE_MODE_TIMEOUT_S)
        guardian.forget(entry)


def new_daemon(plan: RunPlan, folder: Path) -> MpsDaemon:
    """Return the private daemon of a cell with MPS, not started yet; `folder` becomes its folder."""
    program, gpu = control_program(), plan.device.gpu
    assert program is not None, "a cell without the control program is skipped"  # noqa: S101
    assert gpu is not None, "a cell on the CPU is skipped"  # noqa: S101
    return MpsDaemon(
        program=program,
        folder=folder,
        gpu_uuid=gpu.uuid,
        timeouts=DAEMON_TIMEOUTS,
        control_log=plan.paths.control_log,
        server_log=plan.paths.server_log,
    )
