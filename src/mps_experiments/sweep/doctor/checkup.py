"""The checks in their order, each with a deadline. Nothing is changed; what hangs or breaks is one line."""

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from mps_experiments.config.schema import Config, MpsConfig, TrackingConfig
from mps_experiments.errors import ConfigError, in_words
from mps_experiments.machine.gpus import FixedProbe, GpuProbe
from mps_experiments.run.plan import RunPlan
from mps_experiments.sweep.doctor.finding import Finding, fail, refused
from mps_experiments.sweep.doctor.host import driver_findings, gpu_findings, machine_findings, sweep_findings
from mps_experiments.sweep.doctor.setup import (
    foreign_findings,
    mps_findings,
    output_findings,
    store_findings,
    torch_findings,
    trial_findings,
)
from mps_experiments.sweep.preflight import plan_cells

OpenGpus = Callable[[], AbstractContextManager[GpuProbe]]

_TIMEOUT_S = 30.0  # several GPUs without persistence mode, or many daemons, take seconds each
_GRACE_S = 60.0  # for what has deadlines of its own, and cleans up after them


def examine(config: Config, try_mps: bool, open_gpus: OpenGpus, lock_folder: Path) -> Iterator[Finding]:
    """Yield every finding as soon as it is made; raises nothing.

    Args:
        config: What a sweep would be started with.
        try_mps: Start a private daemon for a moment.
        open_gpus: Opens what tells of GPUs.
        lock_folder: Where sweeps lock GPUs.
    """
    cells = [
        replace(config, procs=2, mps=MpsConfig(enabled=mps), tracking=TrackingConfig())
        for mps in (False, True)
    ]
    stack = contextlib.ExitStack()
    probe: GpuProbe = FixedProbe()
    plans: list[RunPlan] = []

    def driver() -> Iterable[Finding]:
        nonlocal probe
        probe = stack.enter_context(open_gpus())
        return driver_findings(probe)

    def gpu() -> Iterable[Finding]:
        plans.extend(plan_cells(cells, probe))
        return gpu_findings(plans[0].device, probe)

    yield from findings_of("driver", driver)
    yield from findings_of("machine", lambda: machine_findings(probe))
    yield from findings_of("GPU", gpu)
    if plans:
        yield from findings_of("other sweeps", lambda: sweep_findings(plans[0].device, lock_folder))
        yield from findings_of("MPS", lambda: mps_findings(plans))
        yield from findings_of("foreign daemons", lambda: foreign_findings(plans[1]))
        if try_mps:
            yield from findings_of("MPS tried", lambda: trial_findings(plans[1], probe), 2 * _GRACE_S)
        patience_s = config.workers.ready_timeout_s + _GRACE_S
        yield from findings_of("torch", lambda: torch_findings(plans[:1]), patience_s)
    yield from findings_of("output folder", lambda: output_findings(config))
    patience_s = config.tracking.connect_timeout_s + config.tracking.timeout_s + _GRACE_S
    yield from findings_of("tracking store", lambda: store_findings(config), patience_s)

    def close() -> Iterable[Finding]:
        stack.close()
        return ()

    yield from findings_of("driver", close)


def findings_of(
    name: str, look: Callable[[], Iterable[Finding]], timeout_s: float = _TIMEOUT_S
) -> tuple[Finding, ...]:
    """Return what a check finds, up to where it hangs or breaks, which is a finding too.

    The check runs in a daemon thread, left behind if it is late: NVML and file systems have no deadlines.
    """
    found: list[Finding] = []

    def run() -> None:
        try:
            for each in look():
                found.append(each)  # noqa: PERF402 - so that those before an error stay
        except ConfigError as error:
            found.append(refused(name, error))
        except Exception as error:  # a driver that is lost must not hide the other findings
            found.append(fail(name, f"cannot be looked at ({in_words(error)})", "mend that and ask again"))

    thread = threading.Thread(target=run, name=f"doctor: {name}", daemon=True)
    thread.start()
    thread.join(timeout_s)
    if not thread.is_alive():
        return tuple(found)
    todo = "find out what hangs: a driver, a disk, a name server; a run would hang there, too"
    return (*found, fail(name, f"no answer within {timeout_s:g} s", todo))
