"""Colours, and figures that become part of a page."""

import re
from importlib import resources
from io import BytesIO

import pytest
from PIL import Image

from mps_experiments.report.ink import COLOURS, new_figure, style, to_png, to_svg
from tests import svg

TEMPLATE = (resources.files("mps_experiments.report") / "page.html.j2").read_text()
TEXT, GRAPHICS = 4.5, 3.0  # WCAG 2.2, success criteria 1.4.3 and 1.4.11


def schemes() -> dict[str, dict[str, str]]:
    """The page's colours, light and dark."""
    blocks = re.findall(r":root \{(.*?)\}", TEMPLATE, re.DOTALL)
    light, dark = (dict(re.findall(r"--(\w+): (#\w{6});", block)) for block in blocks)
    return {"light": light, "dark": dark}


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2.2 defines it."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_the_formula_is_the_published_one() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("scheme", ["light", "dark", "pictures on white"])
def test_text_can_be_read_and_shapes_can_be_seen(scheme: str) -> None:
    colours = (schemes() | {"pictures on white": COLOURS})[scheme]
    for text in ("ink", "muted"):
        assert contrast(colours[text], colours["paper"]) >= TEXT
        assert contrast(colours[text], colours.get("panel", colours["paper"])) >= TEXT
    for shape in ("off", "on", "running", "behind", "idle", "host"):
        assert contrast(colours[shape], colours["paper"]) >= GRAPHICS
    assert set(COLOURS) <= set(colours)


def figure_svg(name: str = "a-name", text: str = "text") -> str:
    with style():
        figure = new_figure(4, 3)
        axes = figure.subplots()
        axes.plot([1, 2], [1, 2], color=COLOURS["on"], marker="o")
        axes.set_xlabel(text)
        return to_svg(figure, name)


def test_colours_become_those_of_the_page_and_nothing_leads_elsewhere() -> None:
    found = figure_svg(text="<b> & text")
    assert "var(--on)" in found
    assert "var(--ink)" in found
    assert not re.findall(r"(?<!&)#[0-9a-f]{6}\b", found)
    assert [part for part in ("//", "xmlns", "<metadata", "<!DOCTYPE", "<script") if part in found] == []
    assert "<b> & text" in svg.texts(found)


def test_its_ids_are_its_own_and_its_references_are_among_them() -> None:
    found = figure_svg()
    ids = svg.ids(found)
    assert len(ids) == len(set(ids))
    assert all(each.startswith("a-name-") for each in ids)
    referred = re.findall(r'href="#([^"]*)"|url\(#([^)]*)\)', found)
    assert referred
    assert {one or other for one, other in referred} <= set(ids)


def test_a_picture_is_on_white() -> None:
    with style():
        figure = new_figure(2, 1)
        figure.subplots()
        picture = Image.open(BytesIO(to_png(figure)))
    assert picture.size == (220, 110)
    assert picture.convert("RGB").getpixel((0, 0)) == (255, 255, 254)
