"""State of a run while it goes on."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from mps_experiments.errors import Interrupted
from mps_experiments.record.faults import FaultTrial
from mps_experiments.record.gpu_work import GpuWork
from mps_experiments.record.measurement import FailureRecord
from mps_experiments.record.outputs import OutputDifference, OutputDigest
from mps_experiments.record.overlap import Activity, KernelTrace
from mps_experiments.record.proof import Observation
from mps_experiments.record.telemetry import Telemetry
from mps_experiments.run.environment import Environment
from mps_experiments.workers.placement import Placement
from mps_experiments.workers.worker import Worker


@dataclass
class RunState:
    """Facts about a run so far. The runner fills it, and it survives whatever ends the run.

    Attributes:
        mps_gone: Pid -> ``daemon`` or ``server`` of each MPS process that ended under the workers.
        servers_afterwards: Servers that the daemon listed afterwards; None if it did not answer.
        about_mps: The part of MPS in a failure, in words; None if it had none.
    """

    on_phase: Callable[[str], None]
    phases_s: dict[str, float] = field(default_factory=dict)
    observations: list[Observation] = field(default_factory=list)
    environment: Environment | None = None
    placement: Placement | None = None
    workers: list[Worker] = field(default_factory=list)
    failure: FailureRecord | None = None
    interruption: Interrupted | None = None
    telemetry: Telemetry | None = None
    outputs: dict[int, OutputDigest] = field(default_factory=dict)
    parity: OutputDifference | None = None
    traces: list[KernelTrace] = field(default_factory=list)
    activity: Activity | None = None
    gpu_work: list[GpuWork] = field(default_factory=list)
    product_errors: dict[int, dict[str, float]] = field(default_factory=dict)
    fault: FaultTrial | None = None
    mps_gone: dict[int, str] = field(default_factory=dict)
    servers_afterwards: tuple[int, ...] | None = None
    about_mps: str | None = None
    missing: list[str] = field(default_factory=list)

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Note the duration of the block; a phase entered twice adds up."""
        self.on_phase(name)
        started = time.monotonic()
        try:
            yield
        finally:
            self.phases_s[name] = self.phases_s.get(name, 0.0) + time.monotonic() - started
