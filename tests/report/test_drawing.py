"""What all charts have in common."""

from typing import TYPE_CHECKING

import pytest

from mps_experiments.analysis.figures import Series
from mps_experiments.report.drawing import drawn, from_zero, label, lines
from tests import svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def series(*counts: int, mps: str = "on") -> Series:
    return Series(
        mps=mps, stratum="", label=f"the line {mps}", counts=counts, values=tuple(map(float, counts))
    )


def labelled(found: list[Series], scale: str = "linear") -> list[str]:
    """The numbers below the axis."""

    def draw(axes: "Axes") -> None:
        axes.set_xscale(scale)
        lines(axes, found)
        label(axes, found, "y")

    shown = svg.texts(drawn("a", "title", "values", draw).svg)
    return shown[: shown.index("processes")]


def test_the_axis_has_the_numbers_that_were_measured() -> None:
    assert labelled([series(1, 2, 8)]) == ["1", "2", "8"]
    assert labelled([series(1, 4), series(2, mps="off")]) == ["1", "2", "4"]


@pytest.mark.parametrize(("scale", "shown"), [("linear", ["1", "4", "48"]), ("log", ["1", "2", "4", "48"])])
def test_labels_that_would_touch_are_left_out(scale: str, shown: list[str]) -> None:
    assert labelled([series(1, 2, 4, 48)], scale) == shown


def test_an_axis_from_zero_keeps_room_above() -> None:
    def draw(axes: "Axes") -> None:
        lines(axes, [series(1, 2)])
        from_zero(axes)
        bottom, top = axes.get_ylim()
        assert bottom == 0
        assert top > 2

    drawn("a", "title", "values", draw)


def test_a_chart_says_in_words_what_it_shows() -> None:
    def draw(axes: "Axes") -> None:
        lines(axes, [series(1, 2)])
        label(axes, [series(1, 2)], "y")

    chart = drawn("name", "A title", "one 1, two 2", draw, "a note")
    assert (chart.name, chart.title, chart.note) == ("name", "A title", "a note")
    assert chart.alt == "A title. one 1, two 2."
    assert chart.png.startswith(b"\x89PNG")
    assert "the line on" in svg.texts(chart.svg)
