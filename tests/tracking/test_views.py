"""Views of the runs table as MLflow's UI reads them; tests/browser opens them there."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from mlflow.utils.validation import _validate_experiment_tag

from mps_experiments.tracking.comparisons import comparison_fields
from mps_experiments.tracking.fault_fields import fault_metrics
from mps_experiments.tracking.fields import metrics_of, params_of, tags_of
from mps_experiments.tracking.views import BY_RATIO, BY_SWEEP, FAULTS, View, experiment_tags, link, sweep_view
from tests.records import make_measurement, with_latencies
from tests.tracking.test_comparisons import ONE, TWO
from tests.tracking.test_fault_fields import with_fault

VIEWS = (BY_RATIO, BY_SWEEP, FAULTS, sweep_view("ab12"))


def state_of(view: View) -> dict[str, Any]:
    """What the UI takes from the tag."""
    _, value = view.tag(1)
    found = json.loads(value)
    state: dict[str, Any] = json.loads(found["state"]) if view.title else found
    return state


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.key)
def test_every_column_of_a_view_is_logged_and_is_shown(view: View) -> None:
    logged: dict[str, Mapping[str, object]]
    if view is FAULTS:
        run = with_fault()
        logged = {"params": params_of(run), "metrics": fault_metrics(run), "tags": tags_of(run)}
    else:
        long = with_latencies(TWO, *[2.0] * 500)  # 1,000 of both workers, as p99 needs
        compared = comparison_fields([ONE, long], {})[long.record_id]
        logged = {
            "params": params_of(long),
            "metrics": metrics_of(long) | compared.metrics,
            "tags": tags_of(long) | compared.tags,
        }
    columns = [f"{kind}.`{name}`" for kind, names in view.columns.items() for name in names]
    assert [name for kind, names in view.columns.items() for name in names if name not in logged[kind]] == []
    assert state_of(view)["selectedColumns"] == columns
    assert state_of(view)["orderByKey"] in (*columns, "attributes.start_time")


def test_a_view_with_a_title_is_listed_and_that_of_a_sweep_is_not() -> None:
    key, value = BY_RATIO.tag(17)
    assert key == "mlflow.sharedViewState.mps-by-ratio"
    assert {name: json.loads(value)[name] for name in ("name", "createdAt")} == {
        "name": "MPS: by ratio",
        "createdAt": 17,
    }
    assert "name" not in json.loads(sweep_view("ab12").tag()[1])


def test_the_view_of_a_sweep_has_its_children_only() -> None:
    state = state_of(sweep_view("ab12"))
    assert state["searchFilter"] == "tags.sweep_id = 'ab12' and tags.record_id != ''"
    assert {"sweep_id", "record_id"} <= tags_of(make_measurement()).keys()


def test_an_experiment_gets_only_what_it_lacks() -> None:
    all_tags = experiment_tags("7", {}, 17)
    assert link("7", BY_RATIO) in all_tags["mlflow.note.content"]
    assert len(all_tags) == 5
    for key, value in all_tags.items():
        _validate_experiment_tag(key, value)
    mine = {"mlflow.note.content": "mine", "mlflow.experimentKind": "genai_development"}
    assert experiment_tags("7", mine, 17).keys() == all_tags.keys() - mine.keys()
    assert experiment_tags("7", all_tags, 18) == {}
