"""Descriptions that MLflow can keep whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.utils.validation import MAX_TAG_VAL_LENGTH

from mps_experiments.tracking.notes import note_of

LINK = "#/experiments/1/runs"


def test_a_description_is_followed_by_the_way_to_the_runs() -> None:
    assert note_of("**answer**\n", LINK) == f"**answer**\n\n[The runs of this sweep, by ratio]({LINK})\n"


def test_a_long_one_is_cut_between_lines_and_says_so() -> None:
    lines = [f"| {number} | text |" for number in range(2000)]
    note = note_of("\n".join(lines), LINK)
    kept, _, rest = note.partition("\n\n(shortened: all of it is in the artifacts)")
    assert kept.splitlines() == lines[: len(kept.splitlines())]
    assert len(kept) > 7500
    assert rest.endswith(f"({LINK})\n")


def test_a_block_that_is_cut_is_closed() -> None:
    note = note_of("```\n" + "row\n" * 4000, LINK)
    assert note.count("```") == 2
    assert note.index("(shortened") > note.rindex("```")


@pytest.mark.parametrize("text", ["", "x" * 20_000])
def test_without_a_line_to_cut_at_it_is_cut_anywhere(text: str) -> None:
    assert len(note_of(text, LINK)) <= MAX_TAG_VAL_LENGTH


@given(st.text(alphabet="x`\n|", max_size=30), st.integers(1, 900))
def test_it_always_fits(text: str, times: int) -> None:
    note = note_of(text * times, LINK)
    assert len(note) <= MAX_TAG_VAL_LENGTH
    assert note.endswith(f"({LINK})\n")
