"""Raw samples of one worker, and the times that follow from them directly."""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mps_experiments.record.intervals import Times


@dataclass(frozen=True, kw_only=True)
class WorkerSamples:
    """Timestamps of one worker on the system-wide monotonic clock, in nanoseconds.

    With ``window=kept`` a worker that has done its own iterations keeps up the load until all workers are
    done. These further iterations are recorded, too, but do not belong to its own time.

    Attributes:
        start_ns: Start of its measured window.
        latencies_ns: Duration of each of its own finished iterations, back to back from `start_ns`.
        kept_ns: Durations of the further iterations, back to back after its own; the last one may have ended
            after the last worker was done.
        beyond: Number of still further whole iterations, whose times found no room.
        beyond_ns: Nanoseconds that these took together.
    """

    rank: int
    start_ns: int
    latencies_ns: tuple[int, ...]
    kept_ns: tuple[int, ...] = ()
    beyond: int = 0
    beyond_ns: int = 0

    def __post_init__(self) -> None:
        if any(latency < 0 for latency in (*self.latencies_ns, *self.kept_ns)):
            raise ValueError("latencies must not be negative: the clock is monotonic")

    @classmethod
    def from_boundaries(
        cls, rank: int, boundaries_ns: tuple[int, ...], measured: int | None = None
    ) -> "WorkerSamples":
        """Make samples from timestamps.

        Args:
            rank: The worker's rank.
            boundaries_ns: The start, then the end of each iteration; at least the start.
            measured: Number of iterations that are the worker's own; None if all are.
        """
        latencies = tuple(after - before for before, after in itertools.pairwise(boundaries_ns))
        own = len(latencies) if measured is None else measured
        return cls(
            rank=rank, start_ns=boundaries_ns[0], latencies_ns=latencies[:own], kept_ns=latencies[own:]
        )

    @property
    def iteration_count(self) -> int:
        """Return the number of its own finished iterations."""
        return len(self.latencies_ns)

    @property
    def end_ns(self) -> int:
        """Return the end of the last of its own finished iterations."""
        return self.start_ns + sum(self.latencies_ns)

    @property
    def elapsed_s(self) -> float:
        """Return the seconds from start to end."""
        return (self.end_ns - self.start_ns) / 1e9

    @property
    def at_work_s(self) -> float:
        """Return the seconds from start to the end of the load that it kept up."""
        return (self.end_ns - self.start_ns + sum(self.kept_ns) + self.beyond_ns) / 1e9

    def latencies_s(self) -> NDArray[np.float64]:
        """Return the latencies of its own iterations in seconds, shape ``(iterations,)``."""
        return np.asarray(self.latencies_ns, dtype=np.float64) / 1e9

    def boundaries_ns(self) -> Times:
        """Return the start, then the end of each recorded iteration, shape ``(iterations + 1,)``."""
        latencies = np.asarray((0, *self.latencies_ns, *self.kept_ns), dtype=np.int64)
        return self.start_ns + np.cumsum(latencies)


@dataclass(frozen=True, kw_only=True)
class CondensedSamples(WorkerSamples):
    """Start, end and number of iterations, without the single latencies."""

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
            beyond_ns=sum(samples.kept_ns) + samples.beyond_ns,
        )

    @property
    def iteration_count(self) -> int:
        return self.count

    @property
    def end_ns(self) -> int:
        return self.last_ns
