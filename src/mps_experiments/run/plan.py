"""The frozen plan of one run, made from a composed configuration; what cannot work is refused here."""

import os
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mps_experiments.config.schema import (
    AUTO,
    Config,
    CpuAffinity,
    FaultKind,
    MpsConfig,
    Thresholds,
    TraceConfig,
    Window,
    WorkersConfig,
)
from mps_experiments.errors import ConfigError
from mps_experiments.machine.device import Device, resolve_device
from mps_experiments.machine.gpus import GpuProbe
from mps_experiments.record import run_files
from mps_experiments.record.axes import chosen, name_of
from mps_experiments.record.faults import HITS_EVERY_CLIENT
from mps_experiments.record.measurement import FILE_NAME
from mps_experiments.record.workload import WorkloadSpec
from mps_experiments.run.workload import workload_of
from mps_experiments.workloads.factory import find_module


class _File:
    """A file of a run by its name."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, paths: "RunPaths", owner: type) -> Path:
        return paths.folder / self._name


@dataclass(frozen=True, kw_only=True)
class RunPaths:
    """Every path that one run may write."""

    folder: Path

    measurement = _File(FILE_NAME)  # the record, the truth
    control_log = _File(run_files.CONTROL_LOG)
    server_log = _File(run_files.SERVER_LOG)
    trace = _File(run_files.TRACE)
    timeline = _File(run_files.TIMELINE)
    newcomer_log = _File(run_files.NEWCOMER_LOG)

    def worker_log(self, rank: int) -> Path:
        """Return the path of what worker `rank` printed."""
        return self.folder / run_files.worker_log(rank)


@dataclass(frozen=True, kw_only=True)
class WindowPlan:
    """The measured window of each worker: a number of iterations, or as many as `seconds` hold.

    Attributes:
        kept: Whether a worker that is done keeps up the load until all are.
    """

    kept: bool
    iterations: int | None
    seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class FaultPlan:
    """What goes wrong on purpose in this run; the meaning of each is in `config.FaultConfig`.

    Attributes:
        trial: Number of this trial, from 0; None until the cell is taken apart into its trials.
        after_iterations: Iterations of that worker that are done when it happens.
    """

    kind: str
    worker: int
    at: float
    after_iterations: int
    trial: int | None
    trials: int
    newcomer_after_s: float

    @property
    def is_in_worker(self) -> bool:
        """Tell if the worker itself does it; else the runner does it to the worker or to MPS."""
        return self.kind not in ("kill", "terminate", *HITS_EVERY_CLIENT)

    @property
    def needs_mps(self) -> bool:
        return self.kind in ("terminate", *HITS_EVERY_CLIENT)

    @property
    def needs_gpu(self) -> bool:
        return self.kind in ("oom", "device_assert", "illegal_address") or self.needs_mps


@dataclass(frozen=True, kw_only=True)
class RunPlan:
    """All that one run needs to know.

    Attributes:
        axes: Name -> value of each axis that is not `decided` by the rest of the plan, as it was typed.
        varied: The overrides in which the cells of its sweep differ.
        workloads: One for each worker, so that workers may differ; today they are equal.
    """

    axes: dict[str, Any] = field(default_factory=dict)
    varied: tuple[str, ...] = ()
    worker_count: int
    window: WindowPlan
    twin: int = 0
    mps: MpsConfig
    device: Device
    workloads: tuple[WorkloadSpec, ...]
    workers: WorkersConfig
    trace: TraceConfig
    telemetry_interval_s: float
    thresholds: Thresholds
    paths: RunPaths
    gpu_wait_s: float = 0.0
    fault: FaultPlan | None = None

    @property
    def decided(self) -> dict[str, object]:
        """Return the axes of which the plan knows more than what was typed."""
        workload, fault = self.workloads[0], self.fault
        return {
            "mps": "on" if self.mps.enabled else "off",
            "procs": self.worker_count,
            "times": AUTO if self.window.iterations is None else self.window.iterations,
            "model": workload.model,
            "weights": workload.weights,
            "device": self.device.uuid or "cpu",
            "cpu_affinity": self.workers.cpu_affinity.value,
            "window": "kept" if self.window.kept else "fixed",
            "window_s": self.window.seconds,
            "fault": fault.kind if fault else "none",
            "trial": fault.trial or 0 if fault else 0,
            "twin": self.twin,
        }

    @property
    def name(self) -> str:
        """Return the run's name, unique in its sweep unless the same cell was typed twice."""
        trial = [f"trial={self.fault.trial}"] if self.fault and self.fault.trial is not None else []
        return " ".join([name_of(self.decided, self.varied), *trial, *(["twin"] if self.twin else [])])

    @property
    def iteration_count(self) -> int | None:
        """Return the iterations of all workers together; None where the time decides."""
        return None if self.window.iterations is None else self.worker_count * self.window.iterations

    def as_twin(self) -> "RunPlan":
        """Return the second of two equal runs (A/A), with a name and a folder of its own."""
        folder = self.paths.folder
        return replace(self, twin=1, paths=RunPaths(folder=folder.with_name(f"{folder.name},twin")))


def build_plan(config: Config, probe: GpuProbe, folder: Path, user_id: int | None = None) -> RunPlan:
    """Check the configuration of a cell, whose run may write `folder`, and freeze it.

    The privilege of `user_id` counts; None asks the kernel.

    Raises:
        ConfigError: If a value cannot work on this machine; nothing has been started.
    """
    device = resolve_device(config.device, probe)
    _check_together(config, device, os.geteuid() if user_id is None else user_id)
    with_fault = config.fault.kind is not FaultKind.none
    workers = config.workers
    if with_fault and workers.rotates:  # nobody moves: the pid of a dead worker may soon be another's
        workers = replace(workers, cpu_affinity=CpuAffinity.auto)
    in_seconds = config.times == AUTO
    plan = RunPlan(
        worker_count=config.procs,
        window=WindowPlan(
            # With a fault workers that are done stop, as in the first experiment.
            kept=config.window is Window.kept and not with_fault,
            iterations=None if in_seconds else config.times,
            seconds=config.window_s if in_seconds else None,
        ),
        mps=config.mps,
        device=device,
        workloads=(workload_of(config.workload, device),) * config.procs,
        workers=workers,
        trace=config.trace,
        telemetry_interval_s=config.telemetry.interval_s,
        thresholds=config.validity,
        paths=RunPaths(folder=folder),
        gpu_wait_s=config.gpu_wait_s,
        fault=_fault(config) if with_fault else None,
    )
    typed = {name: value for name, value in chosen(config).items() if name not in plan.decided}
    return replace(plan, axes=typed)


def _check_together(config: Config, device: Device, user_id: int) -> None:
    if not config.output_dir.strip():
        raise ConfigError("output_dir", config.output_dir or "''", "must name a folder")
    if config.mps.exclusive_process and not device.is_cpu and user_id != 0:
        what = "changing the compute mode needs root; keep needs no privilege"
        raise ConfigError("mps.compute_mode", "exclusive_process", what)
    modules = config.workers.modules or ()
    if not all(isinstance(name, str) and all(map(str.isidentifier, name.split("."))) for name in modules):
        what = f"must be {AUTO} or a list of modules, as [numpy,my_package]"
        raise ConfigError("workers.preload", config.workers.preload, what)
    for name in modules:
        if find_module(name.partition(".")[0], [str(Path.cwd()), *sys.path]) is None:
            raise ConfigError("workers.preload", name, "no such module; auto finds what the factory imports")


def _fault(config: Config) -> FaultPlan:
    fault = config.fault
    if config.times == AUTO:
        raise ConfigError("times", AUTO, "a fault happens after a share of the iterations: give their number")
    if fault.worker >= config.procs:
        what = f"must be a whole number from 0 to {config.procs - 1}"
        raise ConfigError("fault.worker", fault.worker, what)
    return FaultPlan(
        kind=fault.kind.value,
        worker=fault.worker,
        at=fault.at,
        after_iterations=min(int(fault.at * config.times + 1e-9), config.times - 1),  # 0.29 * 100 is 28.99
        trial=None,
        trials=fault.trials,
        newcomer_after_s=fault.newcomer_after_s,
    )
