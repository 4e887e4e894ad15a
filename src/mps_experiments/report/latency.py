"""Draw how the iterations of each cell are spread."""

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mps_experiments.analysis.figures import arm_name, scoped
from mps_experiments.analysis.numbers import short
from mps_experiments.analysis.panels import ARMS, Panel
from mps_experiments.analysis.repeats import Group
from mps_experiments.report.drawing import Chart, NoChart, drawn, plain_log
from mps_experiments.report.ink import COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BOX = (
    "All iterations of all workers and blocks. Box: the middle half; thick bar: median; line: p5 to p95, "
    "from 100 iterations on; upright dash: p99, from 1,000 on; cross: the longest."
)
_WIDE = 5.0  # the longest over the shortest; from here on a logarithmic axis has ticks enough


@dataclass(frozen=True, kw_only=True)
class Box:
    """The spread of the iterations of one cell, in milliseconds.

    Attributes:
        middle: 25th, 50th and 75th percentile.
        wide: 5th and 95th percentile; None of fewer iterations than these take.
        p99: Likewise.
    """

    mps: str
    stratum: str
    procs: int
    middle: tuple[float, float, float]
    wide: tuple[float, float] | None
    p99: float | None
    longest: float

    @classmethod
    def of(cls, group: Group, stratum: str = "") -> "Box":
        """Make it of the latencies of a cell."""
        latencies, cell = group.latencies, group.first.cell
        p25, p50, p75 = (latencies.quantile_s(share) * 1e3 for share in (0.25, 0.5, 0.75))
        p95_s, p99_s = (latencies.percentile_s(percent) for percent in (95, 99))
        return cls(
            mps=cell.mps,
            stratum=stratum,
            procs=cell.procs,
            middle=(p25, p50, p75),
            wide=None if p95_s is None else (latencies.quantile_s(0.05) * 1e3, p95_s * 1e3),
            p99=None if p99_s is None else p99_s * 1e3,
            longest=max(figures.latency_max_s for figures in group.figures) * 1e3,
        )

    @property
    def lowest(self) -> float:
        """Return where its drawing begins."""
        return self.wide[0] if self.wide else self.middle[0]


def latency_chart(panel: Panel, prefix: str) -> Chart | NoChart:
    """Draw a box for each cell; `prefix` is put before the chart's name."""
    title, boxes = "Latency of one iteration", _boxes(panel)
    if len(boxes) < 2:
        return NoChart(title=title, reason="fewer than two VALID cells")

    def draw(axes: "Axes") -> None:
        for place, box in enumerate(boxes):
            _draw_box(axes, place, box)
        axes.set_yticks(range(len(boxes)), [f"{box.procs} · {_arm(panel, box)}" for box in boxes])
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set_ylabel("processes · MPS" if panel.on_gpu else "processes")
        axes.set_xlabel("ms")
        if max(box.longest for box in boxes) > _WIDE * min(box.lowest for box in boxes):
            axes.set_xscale("log")
            plain_log(axes.xaxis, base=10, between=(1.0, 2.0, 5.0))
            axes.set_xlabel("ms (log scale)")

    values = "; ".join(f"{box.procs} with {_arm(panel, box)}: {_box_words(box)}" for box in boxes)
    height_in = max(2.2, 0.42 * len(boxes) + 1.0)
    return drawn(f"{prefix}latency", scoped(panel, title), f"ms: {values}", draw, _BOX, height_in)


def _boxes(panel: Panel) -> list[Box]:
    lines = [(each, each.arm(mps)) for each in panel.strata for mps in ARMS if each.times == panel.times]
    counts = sorted({count for _, arm in lines for count in arm})
    cells = itertools.product(counts, lines)
    return [Box.of(arm[count], each.stratum) for count, (each, arm) in cells if count in arm]


def _arm(panel: Panel, box: Box) -> str:
    return arm_name(panel, box.mps, box.stratum)


def _draw_box(axes: "Axes", place: int, box: Box) -> None:
    colour = COLOURS[box.mps]
    p25, p50, p75 = box.middle
    if box.wide:
        axes.hlines(place, *box.wide, color=colour, linewidth=1.5)
    axes.barh(place, p75 - p25, left=p25, height=0.55, color=(colour, 0.4), edgecolor=colour)
    axes.vlines(p50, place - 0.275, place + 0.275, color=COLOURS["ink"], linewidth=2)
    if box.p99 is not None:
        axes.plot([box.p99], [place], marker="|", markersize=12, color=colour, linestyle="")
    axes.plot([box.longest], [place], marker="x", markersize=5, color=COLOURS["muted"], linestyle="")


def _box_words(box: Box) -> str:
    parts = [f"median {short(box.middle[1])}"]
    parts += [f"p95 {short(box.wide[1])}"] if box.wide else []
    parts += [f"p99 {short(box.p99)}"] if box.p99 is not None else []
    return ", ".join([*parts, f"max {short(box.longest)}"])
