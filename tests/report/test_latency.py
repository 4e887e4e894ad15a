"""The boxes of the latency chart."""

import pytest

from mps_experiments.record.measurement import Measurement
from mps_experiments.report.drawing import Chart, NoChart
from mps_experiments.report.latency import latency_chart
from tests import svg
from tests.records import with_latencies
from tests.report_panels import arm, panel_of


def chart_of(*runs: Measurement) -> Chart:
    chart = latency_chart(panel_of(*runs), "")
    assert isinstance(chart, Chart)
    return chart


def test_the_quantiles_are_of_all_iterations_of_all_workers() -> None:
    one, two = arm("on", {1: 1.0, 2: 1.0})
    chart = chart_of(one, with_latencies(two, *range(1, 101)))
    assert "1 with on: median 100, max 100" in chart.alt  # ten iterations have no tail
    assert "2 with on: median 50, p95 95, max 100" in chart.alt
    long = chart_of(one, with_latencies(two, *range(1, 501)))
    assert "2 with on: median 250, p95 475, p99 495, max 500" in long.alt


def test_boxes_stand_by_processes_and_off_above_on() -> None:
    chart = chart_of(*arm("on", {1: 1.0, 2: 1.0}), *arm("off", {2: 2.0, 1: 1.0}))
    shown = svg.texts(chart.svg)
    assert [text for text in shown if " · o" in text] == ["1 · off", "1 · on", "2 · off", "2 · on"]
    assert shown[-1] == "processes · MPS"


@pytest.mark.parametrize(("longest_s", "label"), [(1.5, "ms"), (60.0, "ms (log scale)")])
def test_a_wide_range_has_a_logarithmic_axis_and_either_has_ticks(longest_s: float, label: str) -> None:
    shown = svg.texts(chart_of(*arm("on", {1: 1.0, 2: longest_s})).svg)
    assert label in shown
    assert len([text for text in shown[: shown.index(label)] if float(text) > 0]) >= 2


def test_one_cell_is_no_chart() -> None:
    found = latency_chart(panel_of(*arm("on", {1: (1.0, 2.0)})), "")
    assert found == NoChart(title="Latency of one iteration", reason="fewer than two VALID cells")


def test_boxes_are_filled_lightly_but_their_edges_are_plain() -> None:
    """A fill that is half seen through has too little contrast to carry the shape."""
    chart = chart_of(*arm("on", {1: 1.0, 2: 1.1}))
    boxes = [
        each.attrib["style"]
        for each in svg.parsed(chart.svg).iter("path")
        if "fill: var(--on)" in each.attrib.get("style", "") and "opacity" in each.attrib["style"]
    ]
    assert len(boxes) == 2
    for style in boxes:
        assert "fill-opacity: 0.4" in style
        assert "stroke: var(--on)" in style
        assert "stroke-opacity" not in style
        assert not style.startswith("opacity")
