"""Write a page as Markdown (GitHub's, which MLflow renders as well)."""

import re
from collections.abc import Sequence

from mps_experiments.report.content import (
    Block,
    Bullets,
    Code,
    Details,
    Heading,
    Page,
    Paragraph,
    SideBySide,
    Table,
)
from mps_experiments.report.drawing import Chart

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&$])")
# A list or a line under a heading, if it stands first in a line.
_FIRST = re.compile(r"^(\d{1,9}(?=[.)](?:\s|$))|(?=[-+=]))")
_ADDRESS = re.compile(r"(:)(//)|(\bwww)(\.)", re.IGNORECASE)  # GitHub would make a link of it


def to_markdown(page: Page, figures: str) -> str:
    """Return the whole page.

    Args:
        page: What it says.
        figures: Folder of its pictures, as seen from the file.
    """
    parts = [f"# {escaped(page.title)}", *(_block(block, figures) for block in page.blocks)]
    return "\n\n".join(parts) + "\n"


def blocks_to_markdown(blocks: Sequence[Block]) -> str:
    """Return a part of a page, without pictures."""
    shown = [block for block in blocks if not isinstance(block, Chart | SideBySide)]
    return "\n\n".join(_block(block, "") for block in shown) + "\n"


def escaped(text: str) -> str:
    """Escape a text so that Markdown shows it as it is, in one line."""
    return _FIRST.sub(r"\1\\", _within_a_line(text))


def _within_a_line(text: str) -> str:
    plain = _SPECIAL.sub(r"\\\1", " ".join(text.split()))
    return _ADDRESS.sub(r"\1\3\\\2\4", plain)


def _block(block: Block, figures: str) -> str:
    match block:
        case Heading():
            return f"{'#' * block.level} {escaped(block.text)}"
        case Paragraph():
            return f"**{escaped(block.text)}**" if block.strong else escaped(block.text)
        case Bullets():
            return "\n".join(f"- {escaped(item)}" for item in block.items)
        case Code():
            fence = "`" * max(3, 1 + max(map(len, re.findall("`+", block.text)), default=0))
            return f"{fence}\n{block.text}\n{fence}"
        case Table():
            return _table(block)
        case Chart():
            note = f"\n\n{escaped(block.note)}" if block.note else ""
            return f"![{escaped(block.alt)}]({figures}/{block.name}.png){note}"
        case SideBySide():
            return "\n\n".join(_block(each, figures) for each in block.blocks)
        case Details():
            parts = [f"## {escaped(block.summary)}", *(_block(each, figures) for each in block.blocks)]
            return "\n\n".join(parts)


def _table(table: Table) -> str:
    lines = [
        f"**{escaped(table.title)}**",
        "",
        _row([_cell(cell) for cell in table.header]),
        _row(["---"] + ["---" if table.holds_text else "---:"] * (len(table.header) - 1)),
    ]
    lines += [_row([_cell(cell) for cell in row]) for row in table.rows]
    notes = [f"\n{escaped(note)}" for note in table.notes]
    return "\n".join([*lines, *notes])


def _cell(text: str) -> str:
    return "<br>".join(map(_within_a_line, text.splitlines()))


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
