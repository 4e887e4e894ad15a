"""Draw the traced pass: did the workers' operations run in turn or at the same time?"""

import logging
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mps_experiments.analysis.numbers import per_cent, short
from mps_experiments.record.intervals import Intervals, Times
from mps_experiments.record.overlap import KernelTrace

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Shares = NDArray[np.float64]

BINS = 400
ZOOM_NS = 8_000_000  # shows time slices of 2 ms next to each other, and single kernels
_ZOOM_OPERATIONS = 60  # a worker has about this many in the zoom, or more, however long they are
# Okabe and Ito's colours, which the colour-blind tell apart; vermilion is kept for what ran together.
_WORKER_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9")
_TOGETHER_COLOUR = "#D55E00"
_WIDTH_IN, _MIN_HEIGHT_IN, _MAX_HEIGHT_IN, _DPI = 12.0, 6.0, 16.0, 100
_MIN_BAR = 1 / 1000  # of the zoom's length: about a pixel


@dataclass(frozen=True, eq=False)
class Timeline:
    """The content of the picture; times in nanoseconds.

    Attributes:
        shared: Whether the workers' passes share some time.
        start_ns, end_ns: This time; where they share none, from the first start to the last end.
        running: When each worker's operations ran.
        together: When those of two or more workers ran.
        operations: How many each worker has, on average.
    """

    shared: bool
    start_ns: int
    end_ns: int
    running: tuple[Intervals, ...]
    together: Intervals
    operations: float

    @classmethod
    def of(cls, traces: Sequence[KernelTrace]) -> "Timeline":
        """Take what the workers did in the part of the pass that they share."""
        passes = [trace.boundaries_ns for trace in traces if len(trace.boundaries_ns)]
        start = int(max((bounds[0] for bounds in passes), default=0))
        end = int(min((bounds[-1] for bounds in passes), default=0))
        if not (shared := start < end):
            start = int(min((bounds.min() for bounds in passes), default=0))
            end = int(max((bounds.max() for bounds in passes), default=0)) + 1
        ran = [Intervals.union(trace.starts_ns, trace.ends_ns).within(start, end) for trace in traces]
        counts = [((trace.ends_ns > start) & (trace.starts_ns < end)).sum() for trace in traces]
        return cls(shared, start, end, tuple(ran), _two_or_more(ran), float(np.mean(counts or [0])))

    @property
    def lanes(self) -> tuple[Intervals, ...]:
        """Return the workers, then what ran together."""
        return (*self.running, self.together)

    @property
    def length_ns(self) -> int:
        return self.end_ns - self.start_ns

    def shares(self, begins_ns: Times | int, ends_ns: Times | int) -> Shares:
        """Return the share of each of these stretches that each lane covers, shape ``(lanes, stretches)``."""
        begins, ends = np.atleast_1d(begins_ns), np.atleast_1d(ends_ns)
        covered = [_covered(lane, ends) - _covered(lane, begins) for lane in self.lanes]
        return np.asarray(np.stack(covered) / np.maximum(ends - begins, 1), np.float64)

    def bins(self) -> Times:
        """Return the edges of equal bins over all of it, shape ``(BINS + 1,)``."""
        return self.start_ns + np.linspace(0, self.length_ns, BINS + 1).astype(np.int64)

    def zoom(self) -> tuple[int, int]:
        """Return start and end of a short stretch in the middle."""
        wanted = max(ZOOM_NS, _ZOOM_OPERATIONS * self.length_ns / max(self.operations, 1))
        length = int(min(wanted, self.length_ns))
        begin = self.start_ns + (self.length_ns - length) // 2
        return begin, begin + length

    def ms(self, times_ns: Times | Sequence[int]) -> Shares:
        """Return milliseconds since the start."""
        return (np.asarray(times_ns, np.int64) - self.start_ns) / 1e6


def draw_timeline(traces: Sequence[KernelTrace], title: str, path: Path) -> None:
    """Draw one PNG: above how busy each worker was over the pass, below a short stretch of it in detail.

    Args:
        traces: One per worker.
        title: Written above.
        path: Where the PNG goes.

    Raises:
        OSError: If it cannot be written.
    """
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it tells where it keeps its cache
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    timeline = Timeline.of(traces)
    height = min(max(0.44 * len(timeline.lanes) + 2.4, _MIN_HEIGHT_IN), _MAX_HEIGHT_IN)
    figure = Figure(figsize=(_WIDTH_IN, height), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(textwrap.fill(title, 120), x=0.008, ha="left", fontsize=12, parse_math=False)
    above, below = figure.subplots(2, 1)
    what = "operations" if all(trace.on_gpu for trace in traces) else "operators on the CPU"
    for axes in (above, below):
        _prepare(axes, [*(f"worker {trace.rank}" for trace in traces), "together"])
    _draw_whole(above, timeline, [trace.boundaries_ns for trace in traces], what)
    _draw_zoom(below, timeline, what)
    figure.savefig(path, format="png")


def _prepare(axes: "Axes", names: Sequence[str]) -> None:
    """Prepare one lane per name, from top to bottom, each 1 high."""
    axes.set_ylim(len(names), 0)
    axes.set_yticks(np.arange(len(names)) + 0.5, names, fontsize=_font_size(len(names)))
    axes.tick_params(axis="y", length=0)
    axes.get_yticklabels()[-1].set_fontweight("bold")
    axes.hlines(range(1, len(names)), 0, 1, transform=axes.get_yaxis_transform(), color="0.8", linewidth=0.8)
    axes.axhspan(len(names) - 1, len(names), color="0.94", zorder=0)
    axes.set_xlabel("ms since the start of the pass")
    axes.spines[["top", "right"]].set_visible(False)


def _draw_whole(axes: "Axes", timeline: Timeline, passes: Sequence[Times], what: str) -> None:
    """Draw the share of each bin in which a lane's operations ran, with the share of all of it in figures."""
    edges = timeline.bins()
    x = timeline.ms(edges)
    for lane, (share, colour) in enumerate(
        zip(timeline.shares(edges[:-1], edges[1:]), _colours(timeline), strict=True)
    ):
        axes.stairs(lane + 1 - 0.92 * share, x, baseline=lane + 1, fill=True, color=colour)
    for lane, bounds in enumerate(passes):
        axes.vlines(timeline.ms(bounds), lane, lane + 1, color="0.3", linewidth=0.8, linestyle=":")
    axes.axvspan(*timeline.ms(timeline.zoom()), color="0.3", alpha=0.2, linewidth=0)
    axes.set_xlim(x[0], x[-1])
    _write_shares(axes, timeline, timeline.start_ns, timeline.end_ns)
    scope = "the pass" if timeline.shared else "the workers' passes, which share no time"
    axes.set_title(
        f"{scope}: share of each {_duration(timeline.length_ns / BINS)} in which {what} ran"
        " (a lane is 100 % high; right: of the whole; dotted: an iteration ends; grey: below)",
        loc="left",
        fontsize=9.5,
    )


def _draw_zoom(axes: "Axes", timeline: Timeline, what: str) -> None:
    """Draw when exactly a lane's operations ran, in a short stretch."""
    begin, end = timeline.zoom()
    bar_ns = max(int((end - begin) * _MIN_BAR), 1)
    for lane, (ran, colour) in enumerate(zip(timeline.lanes, _colours(timeline), strict=True)):
        part = ran.within(begin, end)
        bars = Intervals.union(part.starts_ns, np.maximum(part.ends_ns, part.starts_ns + bar_ns))
        starts = timeline.ms(bars.starts_ns)
        widths = timeline.ms(bars.ends_ns) - starts
        axes.broken_barh(np.column_stack([starts, widths]).tolist(), (lane + 0.08, 0.84), color=colour, lw=0)
    axes.set_xlim(*timeline.ms((begin, end)))
    _write_shares(axes, timeline, begin, end)
    bar = f"each drawn at least {_duration(bar_ns)} wide; right: share of this stretch"
    axes.set_title(f"{_duration(end - begin)} of it: {what} one by one ({bar})", loc="left", fontsize=9.5)


def _write_shares(axes: "Axes", timeline: Timeline, begin_ns: int, end_ns: int) -> None:
    """Write right of each lane the share of the panel's time that it covers."""
    shares = timeline.shares(begin_ns, end_ns)[:, 0]
    size = _font_size(len(shares))
    for lane, share in enumerate(shares):
        text = "< 0.1 %" if 0 < share < 0.001 else per_cent(share, digits=int(0 < share < 0.0995))
        axes.text(1.005, lane + 0.5, text, transform=axes.get_yaxis_transform(), va="center", fontsize=size)


def _font_size(lanes: int) -> float:
    return 10 if lanes <= 16 else 7


def _colours(timeline: Timeline) -> list[str]:
    workers = [_WORKER_COLOURS[rank % len(_WORKER_COLOURS)] for rank in range(len(timeline.running))]
    return [*workers, _TOGETHER_COLOUR]


def _two_or_more(running: Sequence[Intervals]) -> Intervals:
    """Return when at least two of the given sets of intervals cover the time."""
    counts = [len(each.starts_ns) for each in running]
    times = np.concatenate([np.empty(0, np.int64), *(each.starts_ns for each in running)])
    times = np.concatenate([times, *(each.ends_ns for each in running)])
    order = np.argsort(times, kind="stable")
    active = np.cumsum(np.repeat([1, -1], sum(counts))[order])
    both = np.flatnonzero(active[:-1] >= 2)
    return Intervals.union(times[order][both], times[order][both + 1])


def _covered(intervals: Intervals, times_ns: Times) -> Times:
    """Count the nanoseconds that the intervals cover before each of the given times."""
    if not len(intervals.starts_ns):
        return np.zeros_like(times_ns)
    lengths = intervals.ends_ns - intervals.starts_ns
    before = np.cumsum(lengths) - lengths
    index = np.searchsorted(intervals.starts_ns, times_ns, side="right") - 1
    inside = np.minimum(times_ns - intervals.starts_ns[index], lengths[index])
    return np.asarray(np.where(index < 0, 0, before[index] + inside), np.int64)


def _duration(ns: float) -> str:
    value, unit = (ns / 1e6, "ms") if ns >= 1e6 else (ns / 1e3, "µs")
    return f"{short(value)} {unit}"
