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
    """Places of the marks of one colour, in the picture's own units (y grows downwards)."""
    return [
        (float(each.attrib["x"]), float(each.attrib["y"]))
        for each in parsed(svg).iter("use")
        if f"var(--{role})" in each.attrib.get("style", "")
    ]


def lines(svg: str, role: str) -> int:
    """How many strokes have the colour."""
    return sum(f"stroke: var(--{role})" in each.attrib.get("style", "") for each in parsed(svg).iter("path"))


def parsed(svg: str) -> ET.Element:
    """The tree; it must be well-formed."""
    return ET.fromstring(re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL))  # noqa: S314 - our own text
