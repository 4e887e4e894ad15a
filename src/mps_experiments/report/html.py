"""A page as one HTML file that needs nothing else: no address, no script, both colour schemes."""

import base64
from functools import cache
from typing import TYPE_CHECKING

from mps_experiments.report.content import Block, Page

if TYPE_CHECKING:
    from jinja2 import Template


def to_html(page: Page) -> str:
    """Return the whole page; every text is escaped, since names and error texts come from anywhere."""
    return _template().render(page=page, kind=_kind, base64=_base64)


@cache
def _template() -> "Template":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("mps_experiments.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2")


def _kind(block: Block) -> str:
    return type(block).__name__


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
