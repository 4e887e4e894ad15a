"""Throughput over latency as a picture: who is on the front, and what the picture says."""

from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.axes import Axes

from mps_experiments.report import pareto
from mps_experiments.report.ink import new_figure
from mps_experiments.report.pareto import Point, front, pareto_chart


def point(name: str, latency_ms: float, per_s: float) -> Point:
    return Point(name=name, mps=name.partition("=")[2][:3].strip(), latency_s=latency_ms / 1e3, per_s=per_s)


POINTS = [
    point("mps=off procs=1", 4, 250),
    point("mps=on procs=4", 4.4, 900),
    point("mps=off procs=4", 14, 280),
]


def test_the_front_has_the_points_that_no_other_beats_in_both() -> None:
    assert [each.name for each in front(POINTS)] == ["mps=off procs=1", "mps=on procs=4"]
    equal = [point("mps=off procs=2", 4, 250), *POINTS]
    assert len(front(equal)) == 2


def test_the_picture_names_the_cells_the_limit_and_its_values() -> None:
    chart = pareto_chart(POINTS, "p99", "image", limit_s=0.005)
    for text in ("procs=1", "procs=4", "MPS off", "MPS on", "limit", "p99 of an iteration, ms", "images/s"):
        assert text in chart.svg
    assert "mps=on procs=4 900/s at 4.4 ms" in chart.alt
    assert "procs=4 280" not in chart.alt
    assert chart.png.startswith(b"\x89PNG")


def test_latencies_far_apart_get_a_logarithmic_axis() -> None:
    wide = pareto_chart([*POINTS, point("mps=off procs=16", 90, 300)], "p50", "item")
    assert ">50<" in wide.svg
    assert "limit" not in wide.svg


def test_no_name_is_on_another_on_a_mark_or_on_the_legend(monkeypatch: pytest.MonkeyPatch) -> None:
    close = [
        point(f"mps={mps} procs={procs}", 7.5 + procs / 100, 227 + procs)
        for mps in ("off", "on")
        for procs in (1, 2)
    ]
    drawn: list[Axes] = []

    def keep(name: str, title: str, values: str, draw: Callable[[Axes], None], above_in: float) -> None:
        drawn.append(new_figure(5.0, 3.5, above_in=above_in).subplots())
        draw(drawn[0])

    monkeypatch.setattr(pareto, "drawn", keep)
    pareto_chart([*close, point("mps=on procs=16", 11, 2332)], "p99", "image", limit_s=0.02)
    (axes,) = drawn
    names = [text.get_window_extent() for text in axes.texts if text.get_text()]
    assert len(names) == 5
    places = np.concatenate([np.asarray(dots.get_offsets()) for dots in axes.collections])
    marks = axes.transData.transform(places)
    legend = axes.get_legend()
    assert legend is not None
    for place, box in enumerate(names):
        assert not box.count_overlaps([*names[:place], legend.get_window_extent()])
        assert not any(box.contains(x, y) for x, y in marks)
    assert axes.bbox.y1 <= legend.get_window_extent().y0
