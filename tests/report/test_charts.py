"""Charts: which are drawn, what stands in them, where their marks are."""

from itertools import pairwise

import pytest

from mps_experiments.analysis.panels import Panel
from mps_experiments.report.charts import charts
from mps_experiments.report.drawing import Chart
from tests import svg
from tests.report_panels import CPU_ONLY, arm, full_sweep, panel_of

ALL = ["throughput", "ratio", "throughput-over-latency"]


def drawn(panel: Panel) -> dict[str, Chart]:
    return {each.name: each for each in charts(panel)}


def places(chart: Chart, role: str) -> list[tuple[float, float]]:
    """Right and up of each mark of a line, the legend's left out."""
    *points, _ = svg.marks(chart.svg, role)
    return [(x, -y) for x, y in points]


def test_every_chart_has_its_labels_and_all_its_marks() -> None:
    found = drawn(panel_of(*full_sweep()))
    shown = {name: svg.texts(chart.svg) for name, chart in found.items()}
    assert list(found) == ALL
    assert {"images/s, all processes", "ideal: N times one"} <= set(shown["throughput"])
    assert {"p95 latency, ms", "images/s, all processes"} <= set(shown["throughput-over-latency"])
    guides = {"one after the other", "ideal: the others run for free"}
    assert {"time of N / time of one (log scale)", *guides} <= set(shown["ratio"])
    for name, chart in found.items():
        assert {"MPS off (time-sliced)", "MPS on"} <= set(shown[name])
        assert [len(places(chart, role)) for role in ("off", "on")] == [3, 3]
    for name in ALL[:2]:
        assert shown[name][:4] == ["1", "2", "4", "processes"]
    ids = [each for chart in found.values() for each in svg.ids(chart.svg)]
    assert len(ids) == len(set(ids))


def test_marks_stand_where_their_values_are() -> None:
    """Ratio: 1, 2, 8 on a logarithmic axis: the second step is twice the first."""
    chart = drawn(panel_of(*arm("on", {1: 1.0, 2: 2.0, 4: 8.0}, times=2)))["ratio"]
    first, second = (b - a for (_, a), (_, b) in pairwise(places(chart, "on")))
    assert second == pytest.approx(2 * first, rel=1e-3)
    assert "1 1, 2 2, 4 8" in chart.alt


def test_throughput_starts_at_zero() -> None:
    chart = drawn(panel_of(*arm("off", {1: 1.0, 2: 4.0}), *arm("on", {1: 1.0, 2: 1.25})))["throughput"]
    assert svg.texts(chart.svg)[3:5] == ["0", "2"]
    assert chart.alt == "Throughput over processes. off: 1 10/s, 2 5/s; on: 1 10/s, 2 16/s."


def test_throughput_stands_over_the_highest_percentile_that_is_known_and_marks_are_numbered() -> None:
    def over(times: int) -> Chart:
        runs = arm("on", {1: times * 0.1, 2: times * 0.2, 4: times * 0.3}, times=times)
        return drawn(panel_of(*runs))["throughput-over-latency"]

    assert [over(times).title.split()[2] for times in (10, 100, 1000)] == ["p50", "p95", "p99"]
    chart = over(1000)
    assert chart.alt.endswith("on: 1 10/s at 100 ms, 2 10/s at 200 ms, 4 13.3/s at 300 ms.")
    rights = [x for x, _ in places(chart, "on")]
    assert rights[1] - rights[0] == pytest.approx(rights[2] - rights[1], rel=1e-3)
    ticks = svg.texts(chart.svg)
    assert {"1", "2", "4"} <= set(ticks[ticks.index("images/s, all processes") :])


def test_arms_differ_by_more_than_their_colour() -> None:
    """One is dashed, and the marks have two shapes."""
    chart = drawn(panel_of(*full_sweep()))["throughput"]
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


def test_the_note_says_what_the_bars_are() -> None:
    repeats = drawn(panel_of(*arm("on", {1: (1.0, 1.1, 1.2), 2: (1.2, 1.3, 1.4)})))
    assert repeats["ratio"].note.startswith("Bars: interval of the ratio, of 95 % from four blocks on")
    assert repeats["throughput"].note.startswith("Bars: lowest to highest block, around the median")
    assert drawn(panel_of(*arm("on", {1: 1.0, 2: 1.2})))["ratio"].note.startswith("Bars: ")
    short = drawn(panel_of(*arm("on", {1: 1.0, 2: 1.2}, times=2)))
    assert {short[name].note for name in ALL[:2]} == {"No bars: the windows are too short for intervals."}


def test_what_would_be_a_single_point_is_no_chart() -> None:
    assert drawn(panel_of(*arm("on", {2: (1.0, 2.0)}))) == {}
    without_one_process = drawn(panel_of(*arm("on", {2: 1.0, 4: 1.0})))
    assert list(without_one_process) == ["throughput", "throughput-over-latency"]


def test_the_cpu_has_one_arm_without_the_word_mps() -> None:
    found = drawn(panel_of(*arm("off", {1: 1.0, 2: 1.5}, machine=CPU_ONLY)))
    assert list(found) == ALL
    assert "on the CPU" in svg.texts(found["throughput"].svg)
    assert "MPS" not in " ".join(text for chart in found.values() for text in svg.texts(chart.svg))


def test_another_factor_is_a_line_of_its_own_and_other_iterations_are_named() -> None:
    runs = [*arm("on", {1: 1.0, 2: 1.0}), *arm("on", {1: 2.0, 2: 3.0}, batch=4, record="4")]
    chart = drawn(panel_of(*runs))["throughput"]
    assert chart.alt.endswith("on workload.batch=1: 1 10/s, 2 20/s; on workload.batch=4: 1 20/s, 2 26.7/s.")
    assert {"MPS on, workload.batch=1", "MPS on, workload.batch=4"} <= set(svg.texts(chart.svg))
    longer = [*arm("on", {1: 1.0, 2: 1.0}), *arm("on", {1: 5.0, 2: 5.0}, times=50, record="50")]
    assert drawn(panel_of(*longer))["ratio"].title == "Ratio over processes (times=50)"


def test_a_ratio_over_a_slowed_one_process_run_is_not_drawn() -> None:
    both = [*arm("on", {1: 3.0, 2: 1.0, 4: 4.0}), *arm("off", {1: 1.0, 2: 1.0})]
    (ratio,) = [chart for chart in charts(panel_of(*both)) if chart.name == "ratio"]
    assert "off: 1 1, 2 1" in ratio.alt
    assert "on: " not in ratio.alt
    assert not [chart for chart in charts(panel_of(*both[:3])) if chart.name == "ratio"]
