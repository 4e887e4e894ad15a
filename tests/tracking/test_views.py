"""The view of a sweep's runs as MLflow's UI reads it (tests/browser opens it there), and its description."""

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.utils.validation import MAX_TAG_VAL_LENGTH, _validate_experiment_tag

from mps_experiments.tracking.comparisons import comparison_fields
from mps_experiments.tracking.fields import metrics_of, params_of, tags_of
from mps_experiments.tracking.views import link_to, note_of, sweep_view
from tests.records import with_latencies
from tests.tracking.test_comparisons import ONE, TWO

LINK = "#/experiments/1/runs"


def test_every_column_of_the_view_is_logged() -> None:
    long = with_latencies(TWO, *[2.0] * 500)  # 1,000 of both workers, as p99 needs
    compared = comparison_fields([ONE, long], {})[long.record_id]
    logged: Mapping[str, Mapping[str, object]] = {
        "params": params_of(long),
        "metrics": metrics_of(long) | compared.metrics,
        "tags": tags_of(long) | compared.tags,
    }
    key, value = sweep_view("ab12")
    _validate_experiment_tag(key, value)
    state = json.loads(value)
    columns = [column.rstrip("`").split(".`") for column in state["selectedColumns"]]
    assert len(columns) == 13
    assert [name for kind, name in columns if name not in logged[kind]] == []
    assert state["orderByKey"] in state["selectedColumns"]
    assert state["searchFilter"] == "tags.sweep_id = 'ab12' and tags.record_id != ''"
    assert {"sweep_id", "record_id"} <= logged["tags"].keys()
    assert f"viewStateShareKey={key.rpartition('.')[2]}&" in link_to("7", "ab12")
    assert link_to("7", None) == "#/experiments/7/runs"


def test_a_long_description_is_cut_between_lines_and_says_so() -> None:
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
@given(extra=st.text(alphabet="x`\n|", max_size=30), times=st.integers(1, 900))
def test_a_description_always_fits(text: str, extra: str, times: int) -> None:
    note = note_of(text + extra * times, LINK)
    assert len(note) <= MAX_TAG_VAL_LENGTH
    assert note.endswith(f"({LINK})\n")
