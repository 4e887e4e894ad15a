"""The page as Markdown, read again by a parser of it."""

from collections.abc import Iterator

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from mps_experiments.report.content import Block, Code, Heading, Page, SideBySide, Table
from mps_experiments.report.drawing import Chart
from mps_experiments.report.markdown import blocks_to_markdown, escaped, to_markdown
from tests.hostile_texts import HOSTILE
from tests.report_panels import page_with

READER = MarkdownIt("commonmark", {"html": True}).enable("table").enable("strikethrough")


def tokens(text: str) -> Iterator[Token]:
    """All of them, also those inside of others."""
    for token in READER.parse(text):
        yield token
        yield from token.children or ()


def kinds(text: str) -> set[str]:
    return {token.type for token in tokens(text)}


def shown(text: str) -> str:
    """What a reader sees of it, without marks."""
    return "".join(token.content for token in tokens(text) if token.type in ("text", "text_special"))


def chart(text: str) -> Chart:
    return Chart(name="a", title=text, alt=text, note=text, svg="<svg></svg>", png=b"")


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:20]))
def test_a_hostile_text_is_shown_as_text(text: str) -> None:
    plain = kinds("plain text")
    assert kinds(escaped(text)) - {"text_special"} == plain
    assert shown(escaped(text)) == " ".join(text.split()).replace("\x00", "\ufffd")


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:20]))
def test_a_hostile_text_stays_in_its_place_wherever_that_is(text: str) -> None:
    def page(content: str) -> str:
        return to_markdown(page_with(content), "figures")

    def skeleton(text: str) -> list[tuple[str, int]]:
        inline = {"text_special", "text", "html_inline", "softbreak"}  # a line break in a cell is <br>
        return [(token.type, token.level) for token in tokens(text) if token.type not in inline]

    found = [token.content for token in tokens(page(text)) if token.type == "html_inline"]
    assert set(found) <= {"<br>"}
    assert skeleton(page(text)) == skeleton(page("plain"))


def test_addresses_do_not_become_links() -> None:
    found = escaped("see http://example.com and www.example.com")
    assert "://" not in found
    assert "www." not in found
    assert shown(found) == "see http://example.com and www.example.com"


def test_a_fence_is_longer_than_any_in_the_text() -> None:
    found = blocks_to_markdown([Code(text="a\n```\nb\n`````")])
    (code,) = (token for token in tokens(found) if token.type == "fence")
    assert code.content == "a\n```\nb\n`````\n"


def test_a_table_keeps_its_cells_and_its_notes() -> None:
    table = Table(title="t", header=("a | b", "c"), rows=(("1\n2", "3"),), notes=("note",))
    found = to_markdown(Page(title="page", blocks=(table,)), "figures")
    assert "| a \\| b | c |\n| --- | ---: |\n| 1<br>2 | 3 |" in found
    assert found.endswith("\n\nnote\n")
    assert "table_open" in kinds(found)


def test_pictures_are_named_in_their_folder() -> None:
    blocks: tuple[Block, ...] = (
        SideBySide(blocks=(chart("x"),)),
        Chart(name="timeline", title="t", alt="a [b]", png=b""),
    )
    found = to_markdown(Page(title="t", blocks=blocks), "figures")
    images = [token for token in tokens(found) if token.type == "image"]
    assert [token.attrs["src"] for token in images] == ["figures/a.png", "figures/timeline.png"]
    assert images[1].content == "a \\[b\\]"


def test_a_part_without_pictures_has_no_link_to_one() -> None:
    blocks: list[Block] = [Heading(text="h"), chart("x"), SideBySide(blocks=(chart("y"),))]
    assert blocks_to_markdown(blocks) == "## h\n"
