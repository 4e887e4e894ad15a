"""Views of the runs table: which columns MLflow's UI shows, in which order; pure.

By default it shows no param and no metric. A view is a tag of the experiment, as the UI's own "Save view"
writes it; who opens its link sees it, and nobody's own columns are changed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from mps_experiments.axes import FACTORS

_KEY = "mlflow.sharedViewState."
_NOTE = "mlflow.note.content"
_KIND = "mlflow.experimentKind"
_NAME, _CREATED = "attributes.`Run Name`", "runDateAndNestInfo"
_WIDTHS = {"params": 70, "metrics": 135, "tags": 130}  # pixels
_NAME_WIDTH, _CREATED_WIDTH = 280, 130

_PARAMS = (*(axis.name for axis in FACTORS), "repeat")
_RUN = {
    "params": _PARAMS,
    "metrics": ("ratio", "gain", "makespan_s", "throughput_per_s", "latency/p50_ms", "latency/p99_ms"),
    "tags": ("verdict", "cause"),
}
_FAULT = {
    "params": ("fault", *_PARAMS[:2]),
    "metrics": ("fault/others_finished", "fault/others", "fault/blip_ms", "fault/new_client_served_after_s"),
    "tags": ("verdict", "server_states"),
}


@dataclass(frozen=True, kw_only=True)
class View:
    """One view.

    Attributes:
        key: What its link names.
        title: What the menu "Views" lists; empty: only the link leads there.
        condition: Which runs, in MLflow's words.
        order_by: The column to sort by, falling.
    """

    key: str
    title: str
    condition: str
    order_by: str
    columns: Mapping[str, tuple[str, ...]]

    def tag(self, created_ms: int = 0) -> tuple[str, str]:
        """Key and value of the experiment's tag."""
        state = json.dumps(self._state())
        named = {"name": self.title, "createdAt": created_ms, "updatedAt": created_ms, "state": state}
        return f"{_KEY}{self.key}", json.dumps(named) if self.title else state

    def _state(self) -> dict[str, object]:
        chosen = {
            _column(kind, name): _WIDTHS[kind] for kind, names in self.columns.items() for name in names
        }
        return {
            "searchFilter": self.condition,
            "orderByKey": self.order_by,
            "orderByAsc": False,
            "selectedColumns": list(chosen),
            "columnOrder": [_NAME, _CREATED, *chosen, "duration"],
            "columnWidths": {_NAME: _NAME_WIDTH, _CREATED: _CREATED_WIDTH, **chosen},
        }


def _column(kind: str, name: str) -> str:
    return f"{kind}.`{name}`"


_RATIO = _column("metrics", "ratio")
BY_RATIO = View(
    key="mps-by-ratio", title="MPS: by ratio", condition="tags.kind = 'run'", order_by=_RATIO, columns=_RUN
)
BY_SWEEP = View(
    key="mps-by-sweep",
    title="MPS: sweeps, newest first",
    condition="",
    order_by="attributes.start_time",
    columns=_RUN,
)
FAULTS = View(
    key="mps-faults",
    title="MPS: what breaks",
    condition="tags.kind = 'fault'",
    order_by=_column("metrics", "fault/others_finished"),
    columns=_FAULT,
)


def sweep_view(sweep_id: str) -> View:
    """The runs of one sweep, without its parent."""
    return View(
        key=f"mps-sweep-{sweep_id}",
        title="",
        condition=f"tags.sweep_id = '{sweep_id}' and tags.record_id != ''",
        order_by=_RATIO,
        columns=_RUN,
    )


def link(experiment_id: str, view: View) -> str:
    """Where the UI shows a view, relative to the UI's address."""
    return f"#/experiments/{experiment_id}/runs?viewStateShareKey={view.key}&workflowType=machine_learning"


def experiment_tags(experiment_id: str, known: Mapping[str, str], now_ms: int) -> dict[str, str]:
    """What an experiment lacks of views, kind and description; what somebody wrote there stays.

    Args:
        experiment_id: Of the experiment.
        known: Its tags.
        now_ms: Milliseconds since the epoch.
    """
    views = (BY_SWEEP, BY_RATIO, FAULTS)
    links = " · ".join(f"[{view.title}]({link(experiment_id, view)})" for view in views)
    wanted = dict(view.tag(now_ms) for view in views)
    wanted |= {_NOTE: f"Runs table with the columns that matter: {links}", _KIND: "custom_model_development"}
    return {key: value for key, value in wanted.items() if key not in known}
