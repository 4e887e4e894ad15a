"""A GPU that reads as a test has scripted it."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from mps_experiments.machine.gpus import FixedProbe
from mps_experiments.machine.sampler import GpuMeter
from mps_experiments.record.machine import GpuProcess
from mps_experiments.record.telemetry import GpuSample
from tests.fakes.plans import FAKE_GPU


@dataclass
class ScriptedMeter:
    """A `sampler.GpuMeter` with the same answer to every reading.

    Attributes:
        reasons: Why the clock is not higher.
        shares: Gives the share of the GPU by process.
    """

    reasons: tuple[str, ...] = ()
    shares: Callable[[], dict[int, float] | None] = lambda: None
    closed: bool = False

    def sample(self) -> GpuSample:
        return GpuSample(at_ns=time.monotonic_ns(), sm_clock_mhz=1200, clock_event_reasons=self.reasons)

    def share_by_pid(self, since_us: int) -> dict[int, float] | None:  # noqa: ARG002
        return self.shares()

    def sm_clock_max_mhz(self) -> int | None:
        return 1980

    def power_limit_w(self) -> float | None:
        return 700.0

    def close(self) -> None:
        self.closed = True


class MeteredProbe(FixedProbe):
    """The stand-in for a GPU, read by this meter, on which these processes are listed."""

    def __init__(self, meter: ScriptedMeter, listed: tuple[int, ...] = ()) -> None:
        super().__init__((FAKE_GPU,), tuple(GpuProcess(pid=pid, memory_bytes=None) for pid in listed))
        self._meter = meter

    def meter(self, uuid: str) -> GpuMeter | None:  # noqa: ARG002
        return self._meter
