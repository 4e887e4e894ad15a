"""Write a page as one HTML file that needs nothing else: no address, no script, both colour schemes."""

import base64
from functools import cache
from typing import TYPE_CHECKING

from mps_experiments.report.content import Page

if TYPE_CHECKING:
    from jinja2 import Template


def to_html(page: Page) -> str:
    """Return the whole page; every text is escaped, since names and error texts come from anywhere."""
    return _template().render(
        page=page, kind=lambda block: type(block).__name__, base64=lambda png: base64.b64encode(png).decode()
    )


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
