"""The page as HTML: structure, texts from anywhere, nothing from elsewhere."""

import re
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser

import pytest

from mps_experiments.report.content import Block, Page, Table
from mps_experiments.report.drawing import Chart
from mps_experiments.report.report_page import report_page
from mps_experiments.report.writing import to_html
from tests.hostile_texts import HOSTILE
from tests.report_panels import full_sweep, page_with, subject_of

_VOID = {"meta", "img", "br", "path", "use"}


@dataclass
class Seen(HTMLParser):
    """Tags with attributes, in order; texts by the tag that they stand in; what was not closed."""

    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    texts: list[tuple[str, str]] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID and (not self.open or self.open.pop() != tag):
            self.wrong.append(tag)

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts.append((self.open[-1], data))


def seen(html: str) -> Seen:
    parser = Seen()
    parser.feed(html)
    parser.close()
    assert parser.wrong == []
    assert parser.open == []
    return parser


def page_of(*blocks: Block, title: str = "title") -> str:
    return to_html(Page(title=title, blocks=blocks))


PLAIN = seen(to_html(page_with("plain")))


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:20]))
def test_a_hostile_text_is_shown_as_text_wherever_it_stands(text: str) -> None:
    """The same tags and attributes as with a plain text, which stands where that one stood."""
    found = seen(to_html(page_with(text)))
    assert [(tag, sorted(attrs)) for tag, attrs in found.tags] == [
        (tag, sorted(attrs)) for tag, attrs in PLAIN.tags
    ]
    shown = text.replace("\r\n", "\n").strip()
    for tag in ("title", "h1", "h2", "h3", "p", "li", "code", "caption", "th", "td", "figcaption", "summary"):
        assert shown in "".join(data for where, data in found.texts if where == tag).replace("\r\n", "\n")


def test_the_page_has_no_script_and_allows_none() -> None:
    html = to_html(report_page(subject_of(*full_sweep())))
    found = seen(html)
    assert not {"script", "link", "iframe", "object", "embed", "base", "form", "a"} & {
        tag for tag, _ in found.tags
    }
    assert not [name for _, attrs in found.tags for name in attrs if name.startswith("on")]
    (policy,) = (attrs["content"] for tag, attrs in found.tags if attrs.get("http-equiv"))
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def test_the_page_has_no_address() -> None:
    html = to_html(report_page(subject_of(*full_sweep())))
    bare = re.sub(r"data:image/png;base64,[\w+/=]+", "", html)
    assert "//" not in bare
    assert "http" not in bare.replace("http-equiv", "")
    assert not re.search(r"@import|url\((?!#)", bare)
    for _, attrs in seen(html).tags:
        for name in ("src", "srcset", "data", "xlink:href"):
            assert (attrs.get(name) or "data:").startswith("data:")
        assert (attrs.get("href") or "#").startswith("#")


def test_ids_are_unique_and_references_lead_to_them() -> None:
    other = [
        replace(run, record_id=f"other {run.record_id}", cell=run.cell.moved(model="resnet50"))
        for run in full_sweep()
    ]
    found = seen(to_html(report_page(subject_of(*full_sweep(), *other))))
    ids = [attrs["id"] for _, attrs in found.tags if "id" in attrs]
    assert len(ids) == len(set(ids)) > 0
    assert {str(attrs["href"])[1:] for _, attrs in found.tags if "href" in attrs} <= set(ids)


def test_a_table_has_a_caption_and_its_headers_have_a_scope() -> None:
    table = Table(title="a title", header=("a", "b"), rows=(("c", "d"), ("e", "")))
    found = seen(page_of(table))
    assert ("caption", "a title") in found.texts
    scopes = [attrs.get("scope") for tag, attrs in found.tags if tag == "th"]
    assert scopes == ["col", "col", "row", "row"]
    scroller = next(attrs for tag, attrs in found.tags if attrs.get("class") == "scroll")
    assert (scroller["tabindex"], scroller["role"], scroller["aria-label"]) == ("0", "group", "a title")


def test_pictures_say_what_they_show() -> None:
    html = to_html(report_page(subject_of(*full_sweep())))
    drawings = [attrs for _, attrs in seen(html).tags if attrs.get("role") == "img"]
    assert len(drawings) == html.count("<svg") == 4
    assert all(attrs["aria-label"] for attrs in drawings)
    picture = seen(page_of(Chart(name="a", title="t", alt="what it shows", png=b"abc")))
    (shown,) = (attrs for tag, attrs in picture.tags if tag == "img")
    assert shown == {"alt": "what it shows", "src": "data:image/png;base64,YWJj"}


def test_the_page_has_a_language_a_title_and_both_schemes() -> None:
    html = page_of(title="A <title>")
    found = seen(html)
    assert ("html", {"lang": "en"}) in found.tags
    assert ("title", "A <title>") in found.texts
    assert ("h1", "A <title>") in found.texts
    assert "prefers-color-scheme: dark" in html
    assert ("meta", {"name": "color-scheme", "content": "light dark"}) in found.tags
