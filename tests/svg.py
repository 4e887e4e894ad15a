"""What is drawn in an SVG of the report: its texts, and where its marks are."""

import re
from xml.etree import ElementTree as ET


def texts(svg: str) -> list[str]:
    """All that can be read in it."""
    return ["".join(each.itertext()).strip() for each in parsed(svg).iter("text")]


def ids(svg: str) -> list[str]:
    """Every id, in order."""
    return [each.attrib["id"] for each in parsed(svg).iter() if "id" in each.attrib]


def marks(svg: str, role: str) -> list[tuple[float, float]]:
    """Places of the marks of one colour, in the picture's own units (y grows downwards); no ends of bars."""
    tree = parsed(svg)
    dashes = {
        f"#{each.attrib['id']}"
        for each in tree.iter("path")
        if "id" in each.attrib and _is_dash(each.attrib["d"])
    }
    return [
        (float(each.attrib["x"]), float(each.attrib["y"]))
        for each in tree.iter("use")
        if f"var(--{role})" in each.attrib.get("style", "") and _href(each) not in dashes
    ]


def _is_dash(shape: str) -> bool:
    return shape.count("L") == 1 and "C" not in shape


def _href(use: ET.Element) -> str:
    return next(value for name, value in use.attrib.items() if name.endswith("href"))


def lines(svg: str, role: str) -> int:
    """How many strokes have the colour."""
    return sum(f"stroke: var(--{role})" in each.attrib.get("style", "") for each in parsed(svg).iter("path"))


def parsed(svg: str) -> ET.Element:
    """The tree; it must be well-formed."""
    return ET.fromstring(re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL))  # noqa: S314 - our own text
