"""How the iterations of each cell are spread, as a chart."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mps_experiments.pages.drawing import Chart, NoChart, drawn, plain_log
from mps_experiments.pages.figures import arm_name, scoped, short
from mps_experiments.pages.ink import COLOURS
from mps_experiments.pages.panels import ARMS, Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BOX = (
    "All iterations of all workers and repeats. Box: the middle half; line: p5 to p95; thick bar: median; "
    "upright dash: p99; cross: the longest."
)
_WIDE = 5.0  # the longest over the shortest; from here on a logarithmic axis has ticks enough
_QUANTILES = (5, 25, 50, 75, 95, 99)


@dataclass(frozen=True, kw_only=True)
class Box:
    """How the iterations of one cell are spread, in milliseconds."""

    mps: str
    procs: int
    quantiles: NDArray[np.float64]
    longest: float


def latency_chart(panel: Panel, prefix: str) -> Chart | NoChart:
    """A box for each cell; `prefix` is put before the chart's name."""
    title, boxes = "Latency of one iteration", _boxes(panel)
    if len(boxes) < 2:
        return NoChart(title=title, reason="fewer than two VALID cells whose iterations are known")

    def draw(axes: "Axes") -> None:
        for place, box in enumerate(boxes):
            _draw_box(axes, place, box)
        axes.set_yticks(range(len(boxes)), [f"{box.procs} · {arm_name(panel, box.mps)}" for box in boxes])
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set_ylabel("processes · MPS" if panel.on_gpu else "processes")
        axes.set_xlabel("ms")
        if max(box.longest for box in boxes) > _WIDE * min(box.quantiles[0] for box in boxes):
            axes.set_xscale("log")
            plain_log(axes.xaxis, base=10, between=(1.0, 2.0, 5.0))
            axes.set_xlabel("ms (log scale)")

    values = "; ".join(f"{box.procs} with {arm_name(panel, box.mps)}: {_box_words(box)}" for box in boxes)
    height_in = max(2.2, 0.42 * len(boxes) + 1.0)
    return drawn(f"{prefix}latency", scoped(panel, title), f"ms: {values}", draw, _BOX, height_in)


def _boxes(panel: Panel) -> list[Box]:
    found = []
    for procs in sorted({count for mps in ARMS for count in panel.arm(mps)}):
        for mps in ARMS:
            group = panel.arm(mps).get(procs)
            values = panel.latencies_ms(group) if group else np.empty(0, np.float32)
            if len(values):
                quantiles = np.percentile(values.astype(np.float64), _QUANTILES)
                found.append(Box(mps=mps, procs=procs, quantiles=quantiles, longest=float(values.max())))
    return found


def _draw_box(axes: "Axes", place: int, box: Box) -> None:
    colour = COLOURS[box.mps]
    p5, p25, p50, p75, p95, p99 = box.quantiles
    axes.hlines(place, p5, p95, color=colour, linewidth=1.5)
    axes.barh(place, p75 - p25, left=p25, height=0.55, color=(colour, 0.4), edgecolor=colour)
    axes.vlines(p50, place - 0.275, place + 0.275, color=COLOURS["ink"], linewidth=2)
    axes.plot([p99], [place], marker="|", markersize=12, color=colour, linestyle="")
    axes.plot([box.longest], [place], marker="x", markersize=5, color=COLOURS["muted"], linestyle="")


def _box_words(box: Box) -> str:
    _, _, p50, _, p95, p99 = box.quantiles
    return f"median {short(p50)}, p95 {short(p95)}, p99 {short(p99)}, max {short(box.longest)}"
