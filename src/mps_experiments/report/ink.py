"""Colours of the charts, and a Matplotlib figure as a piece of a page that follows its theme."""

import re
from contextlib import AbstractContextManager
from io import BytesIO, StringIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which the colour-blind tell apart; markers and dashes differ as well. Each value
# occurs once, so that it can be found again in the SVG and replaced by the page's own.
COLOURS = {
    "ink": "#1a1a1b",
    "muted": "#5c5c5d",
    "grid": "#d9d9da",
    "off": "#c04f01",
    "on": "#0067a6",
    "paper": "#fffffe",
    # The parts of an iteration.
    "running": "#00795a",
    "behind": "#b3457c",
    "idle": "#8a6d00",
    "host": "#66669a",
}
_RC: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: it can be searched, read aloud and scaled
    "svg.hashsalt": "mps_experiments",  # the same records always give the same page
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": COLOURS["ink"],
    "axes.labelcolor": COLOURS["ink"],
    "axes.edgecolor": COLOURS["muted"],
    "axes.facecolor": COLOURS["paper"],
    "figure.facecolor": COLOURS["paper"],
    "xtick.color": COLOURS["ink"],
    "ytick.color": COLOURS["ink"],
    "grid.color": COLOURS["grid"],
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "lines.linewidth": 2.0,
}
_DPI = 110
LEFT_IN = 0.8  # margin with room for labels of five digits
ABOVE_IN = 0.12
_BELOW_IN, _RIGHT_IN = 0.55, 0.2


def new_figure(
    width_in: float, height_in: float, left_in: float = LEFT_IN, above_in: float = ABOVE_IN
) -> "Figure":
    """Make an empty figure; draw in it inside `style()`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in))  # a layout engine would draw each chart four times
    figure.subplots_adjust(
        left=left_in / width_in,
        bottom=_BELOW_IN / height_in,
        top=1 - above_in / height_in,
        right=1 - _RIGHT_IN / width_in,
    )
    return figure


def style() -> AbstractContextManager[None]:
    """Return a context in which figures are drawn and saved in the report's style."""
    import matplotlib as mpl

    return mpl.rc_context(_RC)


def to_svg(figure: "Figure", name: str) -> str:
    """Return the figure for an HTML page: no outside names, ids of its own, colours of the page.

    Args:
        figure: Drawn inside `style()`.
        name: Unique in the page; letters, digits and hyphens.
    """
    file = StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", text).replace("xlink:href", "href")
    text = re.sub(r'\bid="([^"]*)"', rf'id="{name}-\1"', text)
    text = re.sub(r'href="#([^"]*)"', rf'href="#{name}-\1"', text)
    text = re.sub(r"url\(#([^)]*)\)", rf"url(#{name}-\1)", text)
    for role, colour in COLOURS.items():
        text = re.sub(colour, f"var(--{role})", text, flags=re.IGNORECASE)
    return re.sub(r'<svg ([^>]*?)height="[^"]*"', r"<svg \1", text, count=1)  # follows from width and viewBox


def to_png(figure: "Figure") -> bytes:
    """Return the figure as a picture on white, for places that show no SVG."""
    file = BytesIO()
    figure.savefig(file, format="png", dpi=_DPI)
    return file.getvalue()
