"""Throughput over latency as a picture: who is on the front, and what the picture says."""

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
