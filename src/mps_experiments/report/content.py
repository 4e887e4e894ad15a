"""Describe a page as data, whatever it is written as: headings, paragraphs, tables, pictures."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.table import Table as RichTable
from rich.text import Text

from mps_experiments.report.drawing import Chart


@dataclass(frozen=True, kw_only=True)
class Heading:
    """Level 2 or 3; a page has one of level 1, its title."""

    text: str
    level: int = 2


@dataclass(frozen=True, kw_only=True)
class Paragraph:
    """Plain text.

    Attributes:
        strong: Whether it is what a hurried reader should see.
    """

    text: str
    strong: bool = False


@dataclass(frozen=True, kw_only=True)
class Bullets:
    """A list of plain texts."""

    items: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Code:
    """Text to be copied as it is."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of plain texts, all as long as the header; the first cell of a row is its name."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    holds_text: bool = False  # cells are words, which may be wrapped, rather than numbers

    def rich(self) -> RichTable:
        """Return the same for the terminal; title and notes are neither read as markup nor folded."""
        title, notes = (
            Text(text, no_wrap=True, overflow="ignore") for text in (self.title, "\n".join(self.notes))
        )
        table = RichTable(
            title=title, title_justify="left", caption=notes if notes else None, caption_justify="left"
        )
        for name in self.header:
            table.add_column(name, justify="left" if self.holds_text else "right")
        for row in self.rows:
            table.add_row(*row)
        return table


@dataclass(frozen=True, kw_only=True)
class SideBySide:
    """Parts that are read together, where there is room."""

    blocks: tuple["Block", ...]


@dataclass(frozen=True, kw_only=True)
class Details:
    """A part that is folded until somebody wants it; in Markdown a section like any other."""

    summary: str
    blocks: tuple["Block", ...]


Block = Heading | Paragraph | Bullets | Code | Table | Chart | SideBySide | Details


@dataclass(frozen=True, kw_only=True)
class Page:
    """A whole report."""

    title: str
    blocks: tuple[Block, ...]

    def pictures(self) -> dict[str, bytes]:
        """Return file name -> PNG of everything that is drawn."""
        return {f"{chart.name}.png": chart.png for chart in _charts(self.blocks)}


def _charts(blocks: Iterable[Block]) -> Iterator[Chart]:
    for block in blocks:
        match block:
            case Chart():
                yield block
            case SideBySide() | Details():
                yield from _charts(block.blocks)


def bullets(items: Sequence[str]) -> list[Block]:
    """Make a list of these texts, or nothing."""
    return [Bullets(items=tuple(items))] if items else []


def printable(text: str) -> str:
    """Replace what would move a cursor or turn text around: names and reasons come from anywhere."""
    return "\n".join("".join(map(_shown, line)) for line in text.split("\n"))


def _shown(character: str) -> str:
    return character if character.isprintable() else "\N{REPLACEMENT CHARACTER}"
