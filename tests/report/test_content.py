"""What a page consists of."""

from mps_experiments.report.content import (
    Bullets,
    Details,
    Heading,
    Page,
    SideBySide,
    Table,
    bullets,
)
from mps_experiments.report.drawing import Chart


def chart(name: str) -> Chart:
    return Chart(name=name, title=name, alt=name, note="", svg="<svg></svg>", png=name.encode())


def test_a_table_for_the_terminal_keeps_all_its_texts() -> None:
    table = Table(title="a [title]", header=("first", "second"), rows=(("a", "b\nc"),), notes=("one", "two"))
    shown = table.rich()
    assert (str(shown.title), str(shown.caption)) == ("a [title]", "one\ntwo")
    assert [(column.header, list(column.cells)) for column in shown.columns] == [
        ("first", ["a"]),
        ("second", ["b\nc"]),
    ]
    assert Table(title="t", header=("a",), rows=()).rich().caption is None


def test_the_pictures_of_a_page_are_found_wherever_they_stand() -> None:
    picture = Chart(name="timeline", title="", alt="", png=b"timeline")
    folded = Details(summary="s", blocks=(picture,))
    page = Page(
        title="",
        blocks=(Heading(text="h"), chart("a"), SideBySide(blocks=(chart("b"), chart("c"))), folded),
    )
    assert page.pictures() == {"a.png": b"a", "b.png": b"b", "c.png": b"c", "timeline.png": b"timeline"}


def test_an_empty_list_is_nothing() -> None:
    assert bullets([]) == []
    assert bullets(["a"]) == [Bullets(items=("a",))]
