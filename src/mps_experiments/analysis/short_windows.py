"""Say what the windows of a sweep are too short for, and what would do; pure."""

import math
from collections.abc import Callable, Iterator, Sequence

from mps_experiments.analysis.repeats import Group
from mps_experiments.record.latencies import ENOUGH, needed_iterations
from mps_experiments.record.telemetry import MIN_ENERGY_WINDOW_S
from mps_experiments.record.throughput import LEAST_BINS

_LEAST_SHARE = 0.1  # of a fixed window in which all are at work; with less no number of iterations helps
_MARGIN = 1.25  # iterations at the ends are not whole, and a window that just did may just not the next time


# The iterations of each process that a cell would need for a number; None if it has enough.
_Lacking = Callable[[Group], float | None]


def short_window_line(groups: Sequence[Group]) -> str | None:
    """Say what is blank since windows are too short, and what would do; None if nothing is."""
    parts = [
        f"{claim} ({would_do} would do)"
        for claim, lacking in _CLAIMS.items()
        if (would_do := " or ".join(_would_do(lacking, groups)))
    ]
    return f"windows too short: {'; '.join(parts)}" if parts else None


def _would_do(lacking: _Lacking, groups: Sequence[Group]) -> Iterator[str]:
    """Yield the value for the cell that needs the most: as a number of iterations, as a time, or both."""
    times, seconds = [], []
    for group in groups:
        iterations = lacking(group)
        if iterations is None:
            continue
        if group.first.cell.times == "auto":
            seconds.append(iterations * max(group.paces_s) * _MARGIN)
        else:
            times.append(iterations)
    if times:
        yield f"times={math.ceil(max(times))}"
    if seconds:
        yield f"window_s={math.ceil(max(seconds))}"


def _for_percentile(percent: int) -> _Lacking:
    def lacking(group: Group) -> float | None:
        if group.latencies.count >= ENOUGH[percent]:
            return None
        return needed_iterations(percent, group.first.cell.procs, len(group))

    return lacking


def _for_interval(group: Group) -> float | None:
    """Return the iterations that an interval needs; with window=fixed only a part of them counts."""
    missing = [figures for figures in group.figures if figures.throughput_interval_per_s is None]
    if not missing:
        return None
    shares = [figures.common_window_s / figures.makespan_s for figures in missing]
    share = 1.0 if group.first.cell.window == "kept" else max(_LEAST_SHARE, min(shares))
    return LEAST_BINS * _MARGIN / min(1.0, share)


def _for_energy(group: Group) -> float | None:
    """Return the iterations that energy needs; None where the GPU was not read, since no number would do."""
    summaries = [summary for m in group.measurements if (summary := m.telemetry_summary())]
    read = any("power_w" in summary.mean for summary in summaries)
    if not read or min(group.makespans_s) >= MIN_ENERGY_WINDOW_S:
        return None
    return _MARGIN * MIN_ENERGY_WINDOW_S / min(group.paces_s)


_CLAIMS: dict[str, _Lacking] = {
    f"p95 needs {ENOUGH[95]} iterations over processes and blocks": _for_percentile(95),
    f"p99 needs {ENOUGH[99]:,}": _for_percentile(99),
    f"the interval within a run needs {LEAST_BINS} of each process in the common window": _for_interval,
    f"energy needs {MIN_ENERGY_WINDOW_S:g} s": _for_energy,
}
