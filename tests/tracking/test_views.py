"""The view of a sweep's runs as MLflow's UI reads it (tests/browser opens it there), and its description."""

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.utils.validation import MAX_TAG_VAL_LENGTH, _validate_experiment_tag

from mps_experiments.tracking.comparisons import comparison_fields, decision_metrics
from mps_experiments.tracking.fields import metrics_of, params_of, sweep_params, sweep_tags, tags_of
from mps_experiments.tracking.views import all_sweeps_view, link_to, link_to_all_sweeps, note_of, sweep_view
from tests.evidence_records import with_telemetry
from tests.records import with_latencies
from tests.tracking.test_comparisons import ONE, TWO

LINK = "#/experiments/1/runs"
LINKS = {"its runs": LINK, "all sweeps": f"{LINK}?all"}


def columns_of(value: str) -> list[list[str]]:
    return [column.rstrip("`").split(".`") for column in json.loads(value)["selectedColumns"]]


def test_the_view_of_a_sweep_has_its_valid_runs_the_best_first_and_columns_that_are_logged() -> None:
    long = with_latencies(TWO, *[2.0] * 500)  # 1,000 of both workers, as p99 needs
    compared = comparison_fields([with_latencies(ONE, *[1.9] * 1000), long], {})[long.record_id]
    logged: Mapping[str, Mapping[str, object]] = {
        "params": params_of(long),
        "metrics": metrics_of(long) | compared.metrics,
        "tags": tags_of(long) | compared.tags,
    }
    key, value = sweep_view("ab12")
    _validate_experiment_tag(key, value)
    assert [name for kind, name in columns_of(value) if name not in logged[kind]] == []
    state = json.loads(value)
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`throughput_per_s`", False)
    assert state["searchFilter"].split(" and ") == [
        "tags.sweep_id = 'ab12'",
        "tags.kind != 'twin'",
        "tags.verdict = 'VALID'",
    ]
    assert {"sweep_id", "kind", "verdict"} <= logged["tags"].keys()
    assert "kind" not in sweep_tags([long])
    assert f"viewStateShareKey={key.rpartition('.')[2]}&" in link_to("7", "ab12")
    assert link_to("7", None) == "#/experiments/7/runs"


def test_the_view_of_all_sweeps_compares_their_decisions_the_newest_first() -> None:
    on = [with_latencies(ONE, *[3.0] * 1000), with_latencies(TWO, *[4.0] * 500)]
    off = replace(on[0], record_id="off", cell=ONE.cell.moved(mps="off"))
    cells = [with_telemetry(cell, memory_used_bytes=2**30) for cell in (*on, off)]
    logged: Mapping[str, Mapping[str, object]] = {
        "params": sweep_params(cells),
        "metrics": decision_metrics(cells),
        "tags": sweep_tags(cells),
    }
    key, value = all_sweeps_view()
    _validate_experiment_tag(key, value)
    assert [name for kind, name in columns_of(value) if name not in logged[kind]] == []
    state = json.loads(value)
    assert (state["searchFilter"], state["orderByAsc"]) == ("tags.command != ''", False)
    assert f"viewStateShareKey={key.rpartition('.')[2]}&" in link_to_all_sweeps("7")


def test_a_long_description_is_cut_between_lines_and_says_so() -> None:
    lines = [f"| {number} | text |" for number in range(2000)]
    note = note_of("\n".join(lines), LINKS)
    kept, _, rest = note.partition("\n\n(shortened: all of it is in the artifacts)")
    assert kept.splitlines() == lines[: len(kept.splitlines())]
    assert len(kept) > 7500
    assert rest.endswith(f"[its runs]({LINK}) · [all sweeps]({LINK}?all)\n")


def test_a_block_that_is_cut_is_closed() -> None:
    note = note_of("```\n" + "row\n" * 4000, LINKS)
    assert note.count("```") == 2
    assert note.index("(shortened") > note.rindex("```")


@pytest.mark.parametrize("text", ["", "x" * 20_000])
@given(extra=st.text(alphabet="x`\n|", max_size=30), times=st.integers(1, 900))
def test_a_description_always_fits(text: str, extra: str, times: int) -> None:
    note = note_of(text + extra * times, LINKS)
    assert len(note) <= MAX_TAG_VAL_LENGTH
    assert note.endswith("?all)\n")
