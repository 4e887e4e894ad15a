"""Tell if a worker's iterations ran on the GPU: one that computes on the CPU, or only once, is no replica."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mps_experiments.record.intervals import Intervals
from mps_experiments.record.overlap import MEMCPY, KernelTrace

_HOST_COPIES = ("HtoD", "DtoH")


@dataclass(frozen=True, kw_only=True)
class GpuWork:
    """Observed work of one worker on the GPU.

    Attributes:
        method: ``traced``: every operation of the process in the traced pass (CUPTI), so seeing none means
            there was none. ``operators``: PyTorch's operators and CUDA graphs, without kernels that others
            launch, so seeing none proves nothing.
        with_work: Number of those in which the GPU computed.
        copies: Copies between host and GPU in all of them; a copy is no computation.
        busy_share: Share of the pass in which the GPU computed for this worker; None if unknown.
    """

    rank: int
    method: Literal["traced", "operators"]
    iterations: int
    with_work: int
    copies: int = 0
    busy_share: float | None = None

    @property
    def proved(self) -> bool:
        """Tell if every observed iteration ran on the GPU."""
        return self.with_work == self.iterations

    @property
    def refuted(self) -> bool:
        """Tell if an iteration is known to have run nothing on the GPU."""
        return self.method == "traced" and not self.proved

    def in_words(self) -> str:
        """Describe the observed work of a refuted worker.

        >>> GpuWork(rank=1, method="traced", iterations=3, with_work=0, copies=6).in_words()
        'worker 1 ran no GPU operation in 3 of 3 traced iterations, only 6 copies between host and GPU'
        """
        idle = self.iterations - self.with_work
        text = f"worker {self.rank} ran no GPU operation in {idle} of {self.iterations} traced iterations"
        return f"{text}, only {self.copies} copies between host and GPU" if self.copies else text


def traced_work(trace: KernelTrace) -> GpuWork:
    """Count the iterations in which the GPU computed for this worker.

    An operation counts for every iteration between its launch and its end: the clocks of host and GPU agree
    only to some microseconds, and an iteration may be that short.
    """
    copies = _host_copies(trace)
    begins = np.minimum(trace.launches_ns, trace.starts_ns)[~copies]
    ends = np.maximum(trace.ends_ns[~copies], begins + 1)
    bounds, count = trace.boundaries_ns, trace.iterations
    inside = (ends > bounds[0]) & (begins < bounds[-1])
    first = np.clip(np.searchsorted(bounds, begins[inside], "right") - 1, 0, count - 1)
    last = np.clip(np.searchsorted(bounds, ends[inside], "left") - 1, 0, count - 1)
    steps = np.zeros(count + 1, np.int64)
    np.add.at(steps, first, 1)
    np.add.at(steps, last + 1, -1)
    return GpuWork(
        rank=trace.rank,
        method="traced",
        iterations=count,
        with_work=int((np.cumsum(steps)[:-1] > 0).sum()),
        copies=int(copies.sum()),
        busy_share=_busy_share(trace, ~copies) if trace.on_gpu else None,
    )


def _busy_share(trace: KernelTrace, computing: NDArray[np.bool_]) -> float:
    start, end = int(trace.boundaries_ns[0]), int(trace.boundaries_ns[-1])
    running = Intervals.union(trace.starts_ns[computing], trace.ends_ns[computing]).within(start, end)
    return running.total_ns / max(1, end - start)


def _host_copies(trace: KernelTrace) -> NDArray[np.bool_]:
    """Mark the copies between host and GPU; a model on the CPU may fetch its input that way."""
    by_name = np.array([any(each in name for each in _HOST_COPIES) for name in trace.names], np.bool_)
    copies: NDArray[np.bool_] = (trace.kinds == MEMCPY) & by_name[trace.name_ids]
    return copies
