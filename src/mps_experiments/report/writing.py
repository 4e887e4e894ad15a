"""Write the report as files: report.html, report.md and figures/.

The HTML file needs nothing else: no address, no script, both colour schemes.
"""

import base64
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from mps_experiments.record.disk import write_atomically
from mps_experiments.report.content import Page, printable
from mps_experiments.report.markdown import to_markdown
from mps_experiments.report.report_page import Subject, description, report_page

if TYPE_CHECKING:
    from jinja2 import Template

HTML, MARKDOWN, FIGURES = "report.html", "report.md", "figures"
_PICTURE = re.compile(rf"\]\({FIGURES}/([\w.-]+\.png)\)")


@dataclass(frozen=True, kw_only=True)
class WrittenReport:
    """The files of a report, and its description for MLflow, in Markdown."""

    html: Path
    markdown: Path
    figures: tuple[Path, ...]
    description: str

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.html, self.markdown, *self.figures)


def write_report(subject: Subject, folder: Path) -> WrittenReport:
    """Write the report of these runs into a folder; an earlier one there is replaced.

    Raises:
        OSError: If the folder cannot be written.
    """
    page = report_page(subject)
    (folder / FIGURES).mkdir(parents=True, exist_ok=True)
    pictures = page.pictures()
    earlier = _pictures_of(folder / MARKDOWN)
    written = WrittenReport(
        html=folder / HTML,
        markdown=folder / MARKDOWN,
        figures=tuple(folder / FIGURES / name for name in pictures),
        description=description(subject, has_page=True),
    )
    for path, content in zip(written.figures, pictures.values(), strict=True):
        write_atomically(path, content)
    write_atomically(written.markdown, _encoded(to_markdown(page, FIGURES)))
    write_atomically(written.html, _encoded(to_html(page)))
    for path in earlier - set(written.figures):
        path.unlink(missing_ok=True)
    return written


def _pictures_of(markdown: Path) -> set[Path]:
    """Return the pictures that an earlier report in this folder shows: no others are ours to remove."""
    try:
        text = markdown.read_text(errors="replace")
    except FileNotFoundError:
        return set()
    return {markdown.parent / FIGURES / name for name in _PICTURE.findall(text)}


def _encoded(text: str) -> bytes:
    return printable(text).encode(errors="backslashreplace")  # a file's name need not be text


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
