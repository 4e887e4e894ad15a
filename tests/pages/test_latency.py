"""The boxes of the latency chart."""

from dataclasses import replace

import pytest

from mps_experiments.measurement.samples import WorkerSamples
from mps_experiments.pages.drawing import Chart, NoChart
from mps_experiments.pages.latency import latency_chart
from mps_experiments.record import Measurement
from tests import svg
from tests.report_panels import arm, panel_of


def with_latencies(run: Measurement, *latencies_ms: int) -> Measurement:
    """The run, each worker with these iterations."""
    ns = tuple(each * 1_000_000 for each in latencies_ms)
    workers = tuple(
        replace(w, samples=WorkerSamples(rank=w.rank, start_ns=0, latencies_ns=ns)) for w in run.workers
    )
    return replace(run, workers=workers)


def chart_of(*runs: Measurement) -> Chart:
    chart = latency_chart(panel_of(*runs), "")
    assert isinstance(chart, Chart)
    return chart


def test_the_quantiles_are_of_all_iterations_of_all_workers() -> None:
    one, two = arm("on", {1: 1.0, 2: 1.0})
    chart = chart_of(one, with_latencies(two, *range(1, 101)))
    assert "1 with on: median 100, p95 100, p99 100, max 100" in chart.alt
    assert "2 with on: median 50.5, p95 95, p99 99, max 100" in chart.alt


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
    assert found == NoChart(
        title="Latency of one iteration", reason="fewer than two VALID cells whose iterations are known"
    )


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
