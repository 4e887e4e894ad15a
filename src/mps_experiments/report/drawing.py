"""Draw a chart: lines over the number of processes, their axes, the picture that they become."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING, Any

from mps_experiments.analysis.figures import Series
from mps_experiments.analysis.numbers import short
from mps_experiments.report.ink import ABOVE_IN, COLOURS, LEFT_IN, new_figure, style, to_png, to_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

GUIDE: Mapping[str, Any] = {"color": COLOURS["muted"], "linewidth": 1.2}
_DASHES = {"off": "--", "on": "-"}
_MARKS = {"off": "sDvPhd", "on": "o^X*<p"}  # one for each stratum, in turn
_FAINTEST = 0.4
_SMALL = 7.5  # points, of a legend of many lines
_WIDTH_IN, HEIGHT_IN = 5.0, 3.5  # as narrow as a third of a page or a phone, so that the text stays readable
_APART = 0.06  # of an axis; labels that are nearer to each other would touch
_ROOM = 0.08  # of both axes, which a number beside a mark takes


@dataclass(frozen=True, kw_only=True)
class Chart:
    """One picture, ready for a page.

    Attributes:
        name: Unique in its page, also the name of its file.
        alt: What it shows, with its values, for those who do not see it.
        note: What a reader must know; empty if nothing.
        svg: For HTML; empty for a picture that exists as PNG only.
        png: For Markdown and MLflow.
    """

    name: str
    title: str
    alt: str
    png: bytes
    svg: str = ""
    note: str = ""


def drawn(
    name: str,
    title: str,
    values: str,
    draw: Callable[["Axes"], None],
    note: str = "",
    height_in: float = HEIGHT_IN,
    left_in: float = LEFT_IN,
    above_in: float = ABOVE_IN,
) -> Chart:
    """Make the chart that `draw` draws; `values` are those it shows, in words."""
    with style():
        figure = new_figure(_WIDTH_IN, height_in, left_in, above_in)
        draw(figure.subplots())
        svg, png = to_svg(figure, name), to_png(figure)
    return Chart(name=name, title=title, alt=f"{title}. {values}.", note=note, svg=svg, png=png)


def lines(axes: "Axes", series: Sequence[Series], along: Sequence[Series] | None = None) -> None:
    """Draw each arm with its colour and dashes; strata get their own marks, and later ones are darker.

    Args:
        axes: Where.
        series: The heights.
        along: The values to the right, where these are not the numbers of processes.
    """
    strata = list(dict.fromkeys(each.stratum for each in series))
    for number, each in enumerate(series):
        place = strata.index(each.stratum)
        marks = _MARKS[each.mps]
        axes.errorbar(
            along[number].values if along else each.counts,
            each.values,
            yerr=each.errors,
            color=COLOURS[each.mps],
            marker=marks[place % len(marks)],
            linestyle=_DASHES[each.mps],
            alpha=_FAINTEST + (1 - _FAINTEST) * (place + 1) / len(strata),
            capsize=3,
            clip_on=False,  # a mark on the edge stays whole
            label=each.label,
        )


def legend(axes: "Axes", series: Sequence[Series]) -> None:
    """Name the lines, in small letters where they are many."""
    axes.legend(fontsize=_SMALL if len(series) > len(_DASHES) else None)


def name_points(axes: "Axes", series: Sequence[Series], along: Sequence[Series]) -> None:
    """Write the number of processes beside each mark, the largest first, as far as there is room."""
    marks = [
        (count, x, y)
        for ups, rights in zip(series, along, strict=True)
        for count, x, y in zip(ups.counts, rights.values, ups.values, strict=True)
    ]
    right, top = axes.get_xlim()[1], axes.get_ylim()[1]
    placed: list[tuple[float, float]] = []
    for count, x, y in sorted(marks, reverse=True):
        if all(abs(x - a) > _ROOM * right or abs(y - b) > _ROOM * top for a, b in placed):
            axes.annotate(str(count), (x, y), xytext=(5, 4), textcoords="offset points")
            placed.append((x, y))


def from_zero(axes: "Axes") -> None:
    """Start the upright axis at 0, so that heights can be compared."""
    axes.set_ylim(0, axes.get_ylim()[1] * 1.05)


def label(axes: "Axes", series: Sequence[Series], text: str) -> None:
    """Label the axes; name the numbers of processes that were measured, as far as there is room."""
    counts = all_counts(series)
    is_log = axes.get_xscale() == "log"
    axes.set_xticks(shown := _apart(counts, is_log), [str(count) for count in shown])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("processes")
    axes.set_ylabel(text)
    legend(axes, series)


def doubling(axes: "Axes") -> None:
    """Scale both axes by powers of two."""
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    plain_log(axes.yaxis, base=2, between=(1.0, 1.5))


def plain_log(axis: "Axis", *, base: float, between: Sequence[float]) -> None:
    """Write plain numbers on a logarithmic axis."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axis.set_major_locator(LogLocator(base=base, subs=between))
    axis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    axis.set_minor_locator(NullLocator())


def all_counts(series: Iterable[Series]) -> list[int]:
    """List the numbers of processes of all lines, ascending."""
    return sorted({count for each in series for count in each.counts})


def _apart(counts: Sequence[int], is_log: bool) -> list[int]:
    """Keep the numbers whose labels do not touch, the first among them."""
    place = log if is_log else float
    length = place(counts[-1]) - place(counts[0])
    kept = [counts[0]]
    for count in counts[1:]:
        if place(count) - place(kept[-1]) >= _APART * length:
            kept.append(count)
    return kept
