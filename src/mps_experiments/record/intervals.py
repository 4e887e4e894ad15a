"""Sets of time intervals as sorted, disjoint arrays of starts and ends; all times in nanoseconds."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Intervals:
    """Disjoint half-open intervals in order of time.

    Attributes:
        starts_ns: Shape ``(intervals,)``.
        ends_ns: Shape ``(intervals,)``, each above its start.
    """

    starts_ns: Times
    ends_ns: Times

    @classmethod
    def union(cls, starts_ns: Times, ends_ns: Times) -> Self:
        """Return the times covered by any of the given intervals, which may overlap or be empty."""
        kept = ends_ns > starts_ns
        order = np.argsort(starts_ns[kept], kind="stable")
        starts, ends = starts_ns[kept][order], ends_ns[kept][order]
        if not len(starts):
            return cls(starts, ends)
        reached = np.maximum.accumulate(ends)
        first = np.concatenate(([True], starts[1:] > reached[:-1]))
        last = np.concatenate((first[1:], [True]))
        return cls(starts[first], reached[last])

    def within(self, from_ns: int, to_ns: int) -> Self:
        """Return the part that lies inside one interval."""
        return type(self).union(
            np.clip(self.starts_ns, from_ns, to_ns), np.clip(self.ends_ns, from_ns, to_ns)
        )

    def covers(self, times_ns: Times) -> NDArray[np.bool_]:
        """Mark the times that lie inside; the result has the shape of `times_ns`."""
        begun = np.searchsorted(self.starts_ns, times_ns, side="right")
        ended = np.searchsorted(self.ends_ns, times_ns, side="right")
        return np.asarray(begun > ended)

    @property
    def total_ns(self) -> int:
        """Return the total length of all intervals."""
        return int((self.ends_ns - self.starts_ns).sum())
