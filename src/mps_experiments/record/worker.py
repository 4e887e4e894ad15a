"""What a worker tells that goes into the record or to a person."""

from dataclasses import dataclass, field
from typing import Literal

from mps_experiments.record.telemetry import CpuUsage


@dataclass(frozen=True, kw_only=True)
class WorkerFacts:
    """Facts that a worker found out while it got ready.

    Attributes:
        phases_s: Seconds per phase of getting ready, in order.
        torch_facts: Versions and device as torch sees them, and the parts of the model.
        weights_sha256: Digest of the tensors loaded; None where the workload has no state dict.
        served_ns: End of its first operation on the device, on the system-wide monotonic clock.
        warmup_iterations: Number of iterations before its window; None in earlier records.
        multiprocessors: Number of multiprocessors it can use, within its SM cap; None if unknown.
        missing: Fact that could not be found out -> reason; empty in earlier records.
    """

    cpu_cores: tuple[int, ...]
    phases_s: dict[str, float]
    torch_facts: dict[str, str]
    weights_sha256: str | None
    output_shape: str
    served_ns: int = 0
    warmup_iterations: int | None = None
    multiprocessors: int | None = None
    missing: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Forward:
    """One forward is done; sent only with ``workers.verbose=true``."""

    kind: Literal["forward"] = "forward"
    iteration: int
    stream: str
    shape: str


@dataclass(frozen=True, kw_only=True)
class Done:
    """All iterations are done; the worker stays attached until it is told to exit.

    Attributes:
        cpu: CPU use from the start to the end of the load that it kept up.
        measured: Number of its own iterations; None in earlier records, where all are its own.
        beyond: Number of whole iterations whose times did not fit into shared memory.
        beyond_ns: Nanoseconds that these took.
        core_speed_per_us: Speed of its core just afterwards, see `workers.usage`; None in earlier records.
    """

    kind: Literal["done"] = "done"
    peak_memory_allocated_bytes: int | None
    peak_memory_reserved_bytes: int | None
    peak_rss_bytes: int
    cpu: CpuUsage | None = None
    measured: int | None = None
    beyond: int = 0
    beyond_ns: int = 0
    core_speed_per_us: float | None = None
