"""Draw throughput over latency: the cells that no other beats in both, and the others."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from mps_experiments.analysis.numbers import milliseconds, short
from mps_experiments.report.drawing import GUIDE, Chart, drawn, from_zero, plain_log
from mps_experiments.report.ink import COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LEGEND_IN = 0.5  # above the axes, where no mark or name is
_MARK = 4.0  # pixels from the middle of a mark to its edge
_RIGHT = (6, -6)  # points from a mark to its name
_UP = (4, -10, 14, -20, 24, -30, 34, -40, 44)
_WIDE = 10.0  # largest latency over the smallest, from which on their axis is logarithmic


@dataclass(frozen=True, kw_only=True)
class Point:
    """One cell.

    Attributes:
        mps: ``on`` or ``off``.
        is_chosen: Whether it is the one to use.
    """

    name: str
    mps: str
    latency_s: float
    per_s: float
    is_chosen: bool = False

    @property
    def text(self) -> str:
        return f"{self.name} {short(self.per_s)}/s at {milliseconds(self.latency_s)} ms"


def front(points: Sequence[Point]) -> list[Point]:
    """Return the points that no other beats in latency and throughput, by latency."""
    found: list[Point] = []
    for point in sorted(points, key=lambda each: (each.latency_s, -each.per_s)):
        if not found or point.per_s > found[-1].per_s:
            found.append(point)
    return found


def pareto_chart(points: Sequence[Point], percentile: str, item: str, limit_s: float | None = None) -> Chart:
    """Draw the cells, the line of those that no other beats, and the limit.

    Args:
        points: The cells, at least one.
        percentile: What the latencies are, such as ``p99``.
        item: The word for one item.
        limit_s: The most that the latency may be; None for no limit.
    """
    best, latencies = front(points), [each.latency_s for each in points]
    is_wide = max(latencies) > _WIDE * min(latencies)

    def draw(axes: "Axes") -> None:
        if is_wide:
            axes.set_xscale("log")
            plain_log(axes.xaxis, base=10, between=(1.0, 2.0, 5.0))
        else:
            axes.set_xlim(0, max(latencies) * 1.15e3)
        axes.plot(
            [each.latency_s * 1e3 for each in best],
            [each.per_s for each in best],
            **GUIDE,
            linestyle=":",
            label="no cell beats these in both",
        )
        for mps, mark in (("off", "s"), ("on", "o")):
            own = [each for each in points if each.mps == mps]
            if own:
                places = [each.latency_s * 1e3 for each in own], [each.per_s for each in own]
                axes.scatter(*places, color=COLOURS[mps], marker=mark, label=f"MPS {mps}", zorder=3)
        if limit_s is not None:
            axes.axvline(limit_s * 1e3, color=COLOURS["ink"], linestyle="--", linewidth=1, label="limit")
        from_zero(axes)
        axes.set_xlabel(f"{percentile} of an iteration, ms")
        axes.set_ylabel(f"{item}s/s, all processes")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2)
        _name(axes, points)

    values = "; ".join(each.text for each in best)
    return drawn(
        "pareto",
        f"Throughput over {percentile}",
        f"No cell beats these in both: {values}",
        draw,
        above_in=_LEGEND_IN,
    )


def _name(axes: "Axes", points: Sequence[Point]) -> None:
    """Write its name beside each mark, in the colour of the mark, where no other name or mark is."""
    from matplotlib.transforms import Bbox

    centres = axes.transData.transform([(each.latency_s * 1e3, each.per_s) for each in points])
    taken = [Bbox.from_extents(x - _MARK, y - _MARK, x + _MARK, y + _MARK) for x, y in centres]
    for each in points:
        text = axes.annotate(
            " ".join(word for word in each.name.split() if not word.startswith("mps=")),
            (each.latency_s * 1e3, each.per_s),
            (_RIGHT[0], _UP[0]),
            textcoords="offset points",
            color=COLOURS[each.mps],
            fontsize=8,
            fontweight="bold" if each.is_chosen else "normal",
        )
        for up, right in product(_UP, _RIGHT):
            text.set_position((right, up))
            text.set_horizontalalignment("left" if right > 0 else "right")
            box = text.get_window_extent()
            is_inside = axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1 and axes.bbox.y0 <= box.y0
            if is_inside and not box.count_overlaps(taken):
                break
        taken.append(box)
        if up not in _UP[:2]:  # a line from the mark tells whose name it is
            line = {"arrowstyle": "-", "color": COLOURS["muted"], "linewidth": 0.6, "shrinkA": 0}
            axes.annotate("", text.xy, (right, up + 3), textcoords="offset points", arrowprops=line)
