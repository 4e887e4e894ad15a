"""Findings about what a sweep needs: MPS, torch, the output folder, the tracking store; by its own checks."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from mps_experiments.config.schema import Config
from mps_experiments.errors import without_passwords
from mps_experiments.machine.gpus import GpuProbe
from mps_experiments.mps.attachment import find_foreign_daemons
from mps_experiments.mps.control import CONTROL_PROGRAM, control_program
from mps_experiments.mps.guardian import Guardian
from mps_experiments.run.environment import FOREIGN_TIMEOUT_S
from mps_experiments.run.mps_check import MpsCheck
from mps_experiments.run.plan import RunPlan
from mps_experiments.run.skip import reason_to_skip
from mps_experiments.sweep.doctor.finding import Finding, fail, ok, warn
from mps_experiments.sweep.preflight import check_workloads, look_at_output_dir, new_tracker

_NO_DAEMON_OF_OURS = Path("/dev/null/pipe")


def mps_findings(plans: Sequence[RunPlan]) -> Iterator[Finding]:
    """Tell whether cells with and without MPS would run or be skipped."""
    for plan in plans:
        name = "mps=on" if plan.mps.enabled else "mps=off"
        skipped = reason_to_skip(plan)
        if skipped is None:
            yield ok(name, f"runs, with {control_program()}" if plan.mps.enabled else "runs")
        elif plan.device.gpu is not None and plan.mps.enabled:
            yield fail(name, skipped.reason, _mend(plan))
        else:
            yield warn(name, skipped.reason, _mend(plan))


def _mend(plan: RunPlan) -> str:
    gpu = plan.device.gpu
    if gpu is None:
        return "measure it on a machine with an NVIDIA GPU"
    if gpu.mig_enabled:
        return f"turn MIG off: nvidia-smi -i {gpu.uuid} -mig 0 (root), or name another GPU with device="
    if gpu.compute_mode.upper() != "DEFAULT":
        return f"nvidia-smi -i {gpu.uuid} -c DEFAULT (root)"
    if control_program() is None:
        return "install the driver's compute part (nvidia-compute-utils-... on Ubuntu); mps=off works without"
    return "use Linux itself; mps=off works here"


def foreign_findings(plan: RunPlan) -> Iterator[Finding]:
    """Ask daemons of others for their clients, and leave them alone; those on another GPU are passed over."""
    gpu = plan.device.gpu
    every = find_foreign_daemons(_NO_DAEMON_OF_OURS, FOREIGN_TIMEOUT_S)
    found = [daemon for daemon in every if gpu is None or daemon.may_serve(gpu.uuid)]
    for daemon in found:
        clients = "clients unknown" if daemon.client_pids is None else f"{len(daemon.client_pids)} clients"
        where = f"CUDA_MPS_PIPE_DIRECTORY={daemon.pipe_dir} " if daemon.pipe_dir else ""
        yield warn(
            "foreign daemons",
            f"pid {daemon.pid or 'unknown'} at {daemon.pipe_dir or 'an unknown place'}, {clients}",
            f"if nobody needs it, its owner ends it: echo quit | {where}{CONTROL_PROGRAM}; "
            "while it is there, mps=off is INVALID",
        )
    if not found:
        yield ok("foreign daemons", "none runs or answers")


def trial_findings(plan: RunPlan, probe: GpuProbe) -> Iterator[Finding]:
    """Start, ask and quit a private daemon, as a sweep does first; nothing of it stays.

    Raises:
        ConfigError: If MPS does not work here.
    """
    if reason_to_skip(plan):
        return
    with Guardian() as guardian:
        MpsCheck(guardian, probe.cuda_driver_version()).check(plan)
    yield ok("MPS tried", "a private daemon started, answered and quit")


def torch_findings(plans: Sequence[RunPlan]) -> Iterator[Finding]:
    """Have a child process import torch and torchvision and look for the GPU, as a sweep does.

    Raises:
        ConfigError: If it cannot, or does not find the GPU.
    """
    check_workloads(plans)
    where = "no GPU is needed" if plans[0].device.is_cpu else "it finds the GPU"
    yield ok("torch", f"can be imported with torchvision; {where}")


def output_findings(config: Config) -> Iterator[Finding]:
    """Tell where records go, and the room there.

    Raises:
        ConfigError: If a sweep would be refused for it.
    """
    folder = look_at_output_dir(config)
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    made = "" if existing == folder else ", which will be made"
    yield ok("output folder", f"{folder}{made}; {shutil.disk_usage(existing).free / 10**9:.1f} GB free")


def store_findings(config: Config) -> Iterator[Finding]:
    """Reach the store that a sweep would log to; nothing is created or migrated in it.

    Raises:
        ConfigError: If a sweep would be refused for it.
    """
    folder = Path(config.output_dir).expanduser().absolute()
    new_tracker(config.tracking, folder).look()
    found = without_passwords(config.tracking.uri or str(folder / "mlflow.db"))
    yield ok("tracking store", found if config.tracking.enabled else "none: records on disk only")
