"""All that is refused before any GPU work: plans, the output folder, workloads, the tracking store."""

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext, SpawnContext
from pathlib import Path

from mps_experiments.config.places import unwritable
from mps_experiments.config.schema import Config, StartMethod, TrackingConfig
from mps_experiments.errors import ConfigError
from mps_experiments.machine.core_locks import CoreLocks, fair_share
from mps_experiments.machine.gpu_lock import GpuLocks
from mps_experiments.machine.gpus import GpuProbe
from mps_experiments.mps.control import PIPE_DIRECTORY
from mps_experiments.record.disk import writing_in
from mps_experiments.record.workload import WorkloadSpec
from mps_experiments.run.plan import RunPlan, build_plan
from mps_experiments.tracking.addresses import check_tracking, own_database
from mps_experiments.tracking.tracker import Tracker
from mps_experiments.workers.check import check_workload
from mps_experiments.workers.context import process_context, without_harm
from mps_experiments.workers.messages import Checked
from mps_experiments.workers.placement import taking_order
from mps_experiments.workloads.inputs import remarks as image_remarks
from mps_experiments.workloads.sources import installed_imports

_NO_MPS = "/nonexistent"  # a pipe directory in which there is no daemon


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What was found good.

    Attributes:
        tracker: Its store was reached.
        weights_sha256: Weights, as planned -> digest of the file; None where there is no file.
    """

    tracker: Tracker
    weights_sha256: dict[str, str | None]
    remarks: tuple[str, ...] = ()


def plan_cells(cells: Sequence[Config], probe: GpuProbe, folders: Sequence[Path] = ()) -> tuple[RunPlan, ...]:
    """Return the plans of all cells; starts nothing. No folders: none of the cells is to be run.

    Raises:
        ConfigError: If any of them cannot work.
    """
    for config in cells:
        check_tracking(config.tracking)
    places = folders or [Path(config.output_dir) for config in cells]
    return tuple(build_plan(config, probe, folder) for config, folder in zip(cells, places, strict=True))


def check_run_folder(option: str, folder: Path) -> None:
    """Refuse a folder for runs, named by `option`, that could not be made; makes nothing.

    Raises:
        ConfigError: If a file is in its way, or its parent cannot be written.
    """
    try:
        _existing(folder)
    except OSError as error:
        raise unwritable(option, folder, error) from error


def hold_run_folder(held: contextlib.ExitStack, option: str, folder: Path) -> None:
    """Create a folder for runs, named by `option`, and be the one that writes there until `held` is closed.

    Raises:
        ConfigError: If another sweep writes there.
    """
    if not held.enter_context(writing_in(folder)):
        what = "another sweep writes there now; name another folder, or wait for it"
        raise ConfigError(option, folder, what)


def _existing(folder: Path) -> Path:
    """Return a folder, or the closest one above it that exists; raises OSError if it cannot be written."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, f"{there} is a file")
    if not os.access(there, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, f"{there}: {os.strerror(errno.EACCES)}")
    return there


def lock_gpus(locks: GpuLocks, plans: Sequence[RunPlan]) -> None:
    """Lock the GPUs of these cells for this sweep, in the order in which every sweep does.

    Raises:
        ConfigError: If another sweep has one of them.
    """
    gpus = [(plan.device.gpu.uuid, -plan.gpu_wait_s) for plan in plans if plan.device.gpu is not None]
    for uuid, minus_wait_s in sorted(gpus):  # of the cells of one GPU, the most patient first
        locks.acquire(uuid, -minus_wait_s)


def take_cores(locks: CoreLocks, plans: Sequence[RunPlan], probe: GpuProbe) -> None:
    """Take this sweep's share of the cores, to which it keeps; none for cells on the CPU."""
    gpus = {plan.device.gpu.uuid: plan.device.gpu for plan in plans if plan.device.gpu is not None}
    if not gpus:
        return
    near = {core for gpu in gpus.values() for core in gpu.local_cores}
    most = max(plan.worker_count for plan in plans if plan.device.gpu is not None)
    wanted = fair_share(len(locks.usable), len(gpus), len(probe.gpus()), most)
    locks.take(taking_order(locks.usable, near), wanted)


def prepare(config: Config, plans: tuple[RunPlan, ...]) -> Prepared:
    """Check all cells of a sweep; leaves nothing behind where it refuses but an empty output folder.

    A sweeper that decides as it goes has no plans yet.

    Raises:
        ConfigError: If any of them cannot work.
    """
    output_dir = check_output_dir(config)
    preload = names_to_preload(plans)
    for method in dict.fromkeys(plan.workers.start_method.value for plan in plans):
        _context(method, preload)  # the fork server imports torch while the tracker is imported here
    tracker = new_tracker(config.tracking, output_dir)
    problems = without_harm(preload, max((plan.workers.ready_timeout_s for plan in plans), default=0.0))
    checked = check_workloads(plans)
    tracker.open()  # last: a refused command leaves no store behind
    remarks = (
        *image_remarks(image for plan in plans for image in plan.workloads[0].inputs),
        *(
            f"workers.preload: every worker imports {name} by itself: {problem}"
            for name, problem in problems.items()
        ),
    )
    return Prepared(
        tracker=tracker,
        weights_sha256={spec.weights: found.weights_file_sha256 for spec, found in checked},
        remarks=(*remarks, *dict.fromkeys(found.remark for _, found in checked if found.remark)),
    )


def names_to_preload(plans: Sequence[RunPlan]) -> tuple[str, ...]:
    """List what the fork server imports for these cells, which share it: all that any of them asks for."""
    names = dict[str, None]()
    for plan in plans:
        if plan.workers.start_method is StartMethod.forkserver:
            names |= dict.fromkeys(_names_of(plan))
    return tuple(names)


def _names_of(plan: RunPlan) -> tuple[str, ...]:
    workload = plan.workloads[0]
    if plan.workers.modules is not None:
        return plan.workers.modules
    if workload.factory is None or workload.import_path is None:
        return ()
    return installed_imports(workload.factory, Path(workload.import_path))


def _context(method: str, preload: Sequence[str] | None = None) -> ForkServerContext | SpawnContext:
    try:
        return process_context(method, preload)
    except OSError as error:  # its socket is in the temporary folder
        what = f"no worker can be started from there ({error}); name a folder with a short name that is yours"
        raise ConfigError("TMPDIR", tempfile.gettempdir(), what) from error


def new_tracker(tracking: TrackingConfig, output_dir: Path) -> Tracker:
    """Return the tracker that the configuration names, by default one in `output_dir`; nobody is asked.

    Raises:
        ConfigError: If its address holds a password or can be none.
    """
    check_tracking(tracking)
    if not tracking.enabled:
        return Tracker()
    # Imported here: MLflow costs a second, which tracking=none does not pay.
    from mps_experiments.tracking.mlflow_tracker import MlflowTracker

    uri = tracking.uri or f"sqlite:///{own_database(output_dir)}"
    return MlflowTracker(uri, tracking.experiment, tracking.timeout_s, tracking.connect_timeout_s)


def check_output_dir(config: Config) -> Path:
    """Return the output directory: created, writable, with room.

    Raises:
        ConfigError: If it is not.
    """
    output_dir = look_at_output_dir(config)
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable("output_dir", config.output_dir, error) from error
    return output_dir


def look_at_output_dir(config: Config) -> Path:
    """Return the output directory if it, or what it is to be made in, can be written and has room.

    Raises:
        ConfigError: If it cannot, or has less room than asked for.
    """
    try:
        output_dir = config.output_path
        disk = shutil.disk_usage(_existing(output_dir))
    except OSError as error:
        raise unwritable("output_dir", config.output_dir, error) from error
    free_mb = disk.free // 10**6
    if free_mb < config.min_free_disk_mb and not disk.total:  # such as /proc
        refusal = OSError(errno.EROFS, "its file system takes no files")
        raise unwritable("output_dir", config.output_dir, refusal)
    if free_mb < config.min_free_disk_mb:
        raise ConfigError(
            "output_dir",
            config.output_dir,
            f"has {free_mb} MB of free space, less than min_free_disk_mb={config.min_free_disk_mb}; "
            "make room, or name a folder on another disk",
        )
    return output_dir


def check_workloads(plans: Sequence[RunPlan]) -> list[tuple[WorkloadSpec, Checked]]:
    """Check each distinct workload once, in a child that sees the GPU, without MPS, as its workers will.

    Raises:
        ConfigError: If a workload does not fit, or torch cannot use the device.
    """
    checked: list[tuple[WorkloadSpec, Checked]] = []
    for plan in plans:
        spec = plan.workloads[0]
        if any(spec == known for known, _ in checked):
            continue
        found = check_workload(
            _context(plan.workers.start_method.value),
            spec,
            plan.device.torch_device != "cpu",
            plan.workers.ready_timeout_s,
            {PIPE_DIRECTORY: _NO_MPS, "CUDA_VISIBLE_DEVICES": plan.device.uuid or ""},
        )
        checked.append((spec, found))
    return checked
