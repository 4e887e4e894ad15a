"""Raw samples of one worker and what follows from them directly."""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class WorkerSamples:
    """Timestamps of one worker, of the system-wide monotonic clock, in nanoseconds.

    Attributes:
        rank: The worker's rank.
        start_ns: When its measured window began.
        latencies_ns: Duration of each finished iteration, back to back from `start_ns`.
    """

    rank: int
    start_ns: int
    latencies_ns: tuple[int, ...]

    def __post_init__(self) -> None:
        if any(latency < 0 for latency in self.latencies_ns):
            raise ValueError("latencies must not be negative: the clock is monotonic")

    @classmethod
    def from_boundaries(cls, rank: int, boundaries_ns: tuple[int, ...]) -> "WorkerSamples":
        """From the start followed by the end of each iteration; needs at least the start."""
        latencies = (after - before for before, after in itertools.pairwise(boundaries_ns))
        return cls(rank=rank, start_ns=boundaries_ns[0], latencies_ns=tuple(latencies))

    @property
    def iteration_count(self) -> int:
        """How many iterations were finished."""
        return len(self.latencies_ns)

    @property
    def end_ns(self) -> int:
        """When the last finished iteration ended."""
        return self.start_ns + sum(self.latencies_ns)

    @property
    def elapsed_s(self) -> float:
        """Seconds from start to end."""
        return (self.end_ns - self.start_ns) / 1e9

    def latencies_s(self) -> NDArray[np.float64]:
        """Latencies in seconds, shape ``(iterations,)``."""
        return np.asarray(self.latencies_ns, dtype=np.float64) / 1e9


@dataclass(frozen=True, kw_only=True)
class CondensedSamples(WorkerSamples):
    """Start, end and number of iterations; the single latencies were dropped."""

    count: int
    last_ns: int

    @classmethod
    def of(cls, samples: WorkerSamples) -> "CondensedSamples":
        return cls(
            rank=samples.rank,
            start_ns=samples.start_ns,
            latencies_ns=(),
            count=samples.iteration_count,
            last_ns=samples.end_ns,
        )

    @property
    def iteration_count(self) -> int:
        return self.count

    @property
    def end_ns(self) -> int:
        return self.last_ns
