"""Draw throughput over latency: the cells that no other beats in both, and the others."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mps_experiments.analysis.numbers import milliseconds, short
from mps_experiments.report.drawing import GUIDE, Chart, drawn, from_zero, plain_log
from mps_experiments.report.ink import COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

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
        middle = (min(latencies) * max(latencies)) ** 0.5 if is_wide else max(latencies) / 2
        for each in points:
            is_left = each.latency_s <= middle
            axes.annotate(
                " ".join(word for word in each.name.split() if not word.startswith("mps=")),
                (each.latency_s * 1e3, each.per_s),
                (5 if is_left else -5, 5),
                textcoords="offset points",
                ha="left" if is_left else "right",
                fontsize=8,
                fontweight="bold" if each.is_chosen else "normal",
            )
        if limit_s is not None:
            axes.axvline(limit_s * 1e3, color=COLOURS["ink"], linestyle="--", linewidth=1, label="limit")
        from_zero(axes)
        axes.set_xlabel(f"{percentile} of an iteration, ms")
        axes.set_ylabel(f"{item}s/s, all processes")
        axes.legend()

    values = "; ".join(each.text for each in best)
    return drawn("pareto", f"Throughput over {percentile}", f"No cell beats these in both: {values}", draw)
