"""What is looked at, in which order."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mps_experiments.config import Config
from mps_experiments.doctor.device import choose, mode_findings, usage_findings
from mps_experiments.doctor.driver import driver_findings, permission_findings
from mps_experiments.doctor.finding import Finding
from mps_experiments.doctor.folders import output_findings, temporary_findings
from mps_experiments.doctor.gpu import OpenGpus, Sight, look
from mps_experiments.doctor.machine import system_checks
from mps_experiments.doctor.mps import foreign_findings, missing_program, program_finding
from mps_experiments.doctor.mps_trial import trial_findings, trial_timeout_s
from mps_experiments.doctor.probing import Check
from mps_experiments.doctor.roots import Roots
from mps_experiments.doctor.store import store_findings
from mps_experiments.doctor.sweeps import sweep_findings
from mps_experiments.doctor.torch_check import torch_findings
from mps_experiments.environment import DAEMON_TIMEOUTS, FOREIGN_TIMEOUT_S
from mps_experiments.machine.gpus import Gpu
from mps_experiments.mps.control import control_program
from mps_experiments.mps.folders import parent_folder
from mps_experiments.tracking.variables import store_named_outside

_NVML_TIMEOUT_S = 15.0  # several GPUs without persistence mode take seconds each
_MANY_DAEMONS_TIMEOUT_S = 60.0
_GRACE_S = 10.0  # a child has its own deadline: this one is for what it leaves behind


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the user asked for, named as the program's options.

    Attributes:
        tracking_uri: None for MLFLOW_TRACKING_URI, or else the database in the output folder; ``none`` for
            no store.
        try_mps: Start a private daemon for a moment.
        torch_timeout_s: Seconds for torch to be imported in a child process.
    """

    device: str = field(default_factory=lambda: Config().device)
    output_dir: str = field(default_factory=lambda: Config().output_dir)
    tracking_uri: str | None = None
    try_mps: bool = False
    torch_timeout_s: float = 120.0


def examine(request: Request, open_gpus: OpenGpus, roots: Roots) -> Iterator[Finding]:
    """Every finding, as soon as it is made; raises nothing and changes nothing."""
    sight = look(open_gpus, _NVML_TIMEOUT_S)
    gpu, chosen = choose(request.device, sight)
    for each in system_checks(roots):
        yield from each.findings()
    yield from Check(name="driver", look=lambda: driver_findings(sight, roots)).findings()
    yield chosen
    for check in (*_of_gpu(gpu, sight, roots), *_of_mps(request, gpu, sight), *_of_rest(request, gpu, sight)):
        yield from check.findings()


def _of_gpu(gpu: Gpu | None, sight: Sight, roots: Roots) -> Iterator[Check]:
    if gpu is None:
        return
    yield Check(name="permissions", look=lambda: permission_findings(roots))
    yield Check(name="compute mode", look=lambda: mode_findings(gpu))
    yield Check(name="GPU processes", look=lambda: usage_findings(gpu, sight))
    yield Check(name="other sweeps", look=lambda: sweep_findings(gpu, roots))


def _of_mps(request: Request, gpu: Gpu | None, sight: Sight) -> Iterator[Check]:
    program = control_program()
    driver = sight.driver_version if gpu else None
    yield Check(name="control program", look=lambda: _ask(program, driver, DAEMON_TIMEOUTS.command_s))
    yield Check(
        name="foreign daemons",
        look=lambda: foreign_findings(FOREIGN_TIMEOUT_S, gpu.uuid if gpu else None),
        timeout_s=_MANY_DAEMONS_TIMEOUT_S,
    )
    if request.try_mps and gpu is not None and program is not None:
        yield Check(
            name="MPS tried",
            look=lambda: trial_findings(program, gpu),
            timeout_s=trial_timeout_s() + _GRACE_S,
        )


def _ask(program: Path | None, driver_version: str | None, timeout_s: float) -> Iterator[Finding]:
    if program is None:
        yield missing_program(driver_version is not None)
        return
    with tempfile.TemporaryDirectory(prefix="mpsx-doctor-", dir=parent_folder()) as empty:
        yield program_finding(program, Path(empty), driver_version, timeout_s)


def _of_rest(request: Request, gpu: Gpu | None, sight: Sight) -> Iterator[Check]:
    connect_s, torch_s = Config().tracking.connect_timeout_s, request.torch_timeout_s
    yield Check(
        name="torch",
        look=lambda: torch_findings(gpu, sight.cuda_version, torch_s),
        timeout_s=torch_s + _GRACE_S,
    )
    yield Check(name="temporary folder", look=temporary_findings)
    yield Check(name="output folder", look=lambda: output_findings(request.output_dir))
    yield Check(
        name="tracking store",
        look=lambda: store_findings(
            request.tracking_uri or store_named_outside(), request.output_dir, connect_s
        ),
        timeout_s=connect_s + _GRACE_S,
    )
