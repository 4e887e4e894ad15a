"""Charts: which are drawn, what stands in them, where their marks are."""

from itertools import pairwise

import pytest

from mps_experiments.analysis.panels import Panel
from mps_experiments.report.charts import charts
from mps_experiments.report.drawing import Chart, NoChart
from tests import svg
from tests.report_panels import CPU_ONLY, arm, full_sweep, panel_of

ALL = ("ratio", "throughput", "latency", "overlap", "busy", "power", "energy")


def drawn(panel: Panel) -> dict[str, Chart]:
    return {each.name: each for each in charts(panel) if isinstance(each, Chart)}


def missing(panel: Panel) -> dict[str, str]:
    return {each.title: each.reason for each in charts(panel) if isinstance(each, NoChart)}


def heights(chart: Chart, role: str) -> list[float]:
    """How high each mark of a line is, the legend's left out; upwards."""
    *points, _ = svg.marks(chart.svg, role)
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    return [-y for _, y in points]


def test_everything_that_was_measured_is_drawn_with_its_unit_and_all_its_marks() -> None:
    found = drawn(panel_of(*full_sweep()))
    labels = {
        "ratio": "time of N / time of one (log scale)",
        "throughput": "images/s, all processes",
        "latency": "ms (log scale)",
        "overlap": "% of busy time with two workers or more",
        "busy": "% of the traced pass",
        "power": "mean power in the window, W",
        "energy": "J per image",
    }
    shown = {name: svg.texts(chart.svg) for name, chart in found.items()}
    assert [name for name, label in labels.items() if label not in shown[name]] == []
    assert missing(panel_of(*full_sweep())) == {}
    guides = {"one after the other", "ideal: the others run for free", "MPS off (time-sliced)", "MPS on"}
    assert guides <= set(shown["ratio"])
    for name in found.keys() - {"latency"}:
        counts = ["2", "4"] if name == "overlap" else ["1", "2", "4"]
        assert shown[name][: len(counts) + 1] == [*counts, "processes"]
        assert [len(heights(found[name], role)) for role in ("off", "on")] == [len(counts)] * 2
    ids = [each for chart in found.values() for each in svg.ids(chart.svg)]
    assert len(ids) == len(set(ids))


def test_marks_stand_where_their_values_are() -> None:
    """Ratio: 1, 2, 8 on a logarithmic axis: the second step is twice the first."""
    chart = drawn(panel_of(*arm("on", {1: 1.0, 2: 2.0, 4: 8.0}, times=2)))["ratio"]
    first, second = (b - a for a, b in pairwise(heights(chart, "on")))
    assert second == pytest.approx(2 * first, rel=1e-3)
    assert "1 1, 2 2, 4 8" in chart.alt


def test_throughput_starts_at_zero_and_shows_the_ideal() -> None:
    chart = drawn(panel_of(*arm("off", {1: 1.0, 2: 4.0}), *arm("on", {1: 1.0, 2: 1.25})))["throughput"]
    assert "ideal: N times one" in svg.texts(chart.svg)
    assert svg.texts(chart.svg)[3:5] == ["0", "2"]
    assert chart.alt == (
        "Total throughput over processes (times=10). off: 1 10/s, 2 5/s; on: 1 10/s, 2 16/s."
    )


def test_arms_differ_by_more_than_their_colour() -> None:
    """One is dashed, and the marks have two shapes."""
    chart = drawn(panel_of(*full_sweep()))["power"]
    strokes = [each.attrib["style"] for each in svg.parsed(chart.svg).iter("path") if "style" in each.attrib]
    dashed = {
        role: any("dasharray" in s and f"var(--{role})" in s for s in strokes) for role in ("off", "on")
    }
    assert dashed == {"off": True, "on": False}
    shapes = {
        role: {
            each.attrib["href"]
            for each in svg.parsed(chart.svg).iter("use")
            if f"--{role})" in str(each.attrib)
        }
        for role in ("off", "on")
    }
    assert not shapes["off"] & shapes["on"]


def test_repeats_have_bars_and_the_note_says_what_they_are() -> None:
    found = drawn(panel_of(*arm("on", {1: (1.0, 1.1, 1.2), 2: (1.2, 1.3, 1.4)})))
    assert found["ratio"].note.startswith("Bars: interval of the ratio, of 95 % from four blocks on")
    assert found["throughput"].note.startswith("Bars: lowest to highest block, around the median")


def test_one_block_has_the_bars_of_its_windows_unless_they_are_too_short() -> None:
    found = drawn(panel_of(*arm("on", {1: 1.0, 2: 1.2})))
    assert found["ratio"].note.startswith("Bars: ")
    short = drawn(panel_of(*arm("on", {1: 1.0, 2: 1.2}, times=2)))
    for name in ("ratio", "throughput"):
        assert short[name].note == "No bars: the windows are too short for intervals."


@pytest.mark.parametrize("procs", [1, 2])
def test_one_cell_has_no_chart_at_all(procs: int) -> None:
    panel = panel_of(*(run for run in full_sweep() if run.record_id == f"on-{procs}"))
    assert drawn(panel) == {}
    assert len(missing(panel)) == len(ALL)


def test_without_evidence_the_charts_of_times_are_left_and_the_others_say_how_to_get_them() -> None:
    panel = panel_of(*arm("on", {1: 1.0, 2: 1.1}))
    assert tuple(drawn(panel)) == ("ratio", "throughput", "latency")
    assert "trace.iterations=3" in missing(panel)["Overlap of the workers on the GPU"]
    assert "energy counter" in missing(panel)["Energy of one item"]


def test_the_cpu_has_one_arm_without_the_word_mps() -> None:
    panel = panel_of(*arm("off", {1: 1.0, 2: 1.5}, machine=CPU_ONLY))
    found = drawn(panel)
    assert tuple(found) == ("ratio", "throughput", "latency")
    assert "on the CPU" in svg.texts(found["throughput"].svg)
    assert "MPS" not in " ".join(text for chart in found.values() for text in svg.texts(chart.svg))
    assert missing(panel)["Power"] == "it needs a GPU"


def test_a_refused_ratio_is_no_point() -> None:
    panel = panel_of(*arm("on", {2: 1.0, 4: 1.0}))
    assert "ratio" not in drawn(panel)
    assert "throughput" in drawn(panel)


def test_another_factor_is_a_line_of_its_own() -> None:
    runs = [*arm("on", {1: 1.0, 2: 1.0}), *arm("on", {1: 2.0, 2: 3.0}, batch=4, record="4")]
    charts_of = drawn(panel_of(*runs))
    assert charts_of["throughput"].alt.endswith(
        "on workload.batch=1: 1 10/s, 2 20/s; on workload.batch=4: 1 20/s, 2 26.7/s."
    )
    shown = svg.texts(charts_of["throughput"].svg)
    assert {"MPS on, workload.batch=1", "MPS on, workload.batch=4"} <= set(shown)
    assert "2 with on workload.batch=4: median 300" in charts_of["latency"].alt
