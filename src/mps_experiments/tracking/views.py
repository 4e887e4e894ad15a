"""Prepare the table of a sweep's runs in MLflow's UI, which shows no param and no metric by default.

The view is a tag of the experiment, as the UI's own "Share" writes it: who opens its link sees it, and
nobody's own columns are changed.
"""

import json

from mps_experiments.record.axes import FACTORS

_COLUMNS = {
    "params": (*(axis.name for axis in FACTORS), "repeat"),
    "metrics": ("ratio", "gain", "makespan_s", "throughput_per_s", "latency/p50_ms", "latency/p99_ms"),
    "tags": ("verdict", "cause"),
}
_WIDTHS = {"params": 70, "metrics": 135, "tags": 130}  # pixels
_NAME, _CREATED = "attributes.`Run Name`", "runDateAndNestInfo"
_MAX_NOTE = 8000  # characters of a tag that MLflow takes
_FENCE = "```"


def sweep_view(sweep_id: str) -> tuple[str, str]:
    """Return key and value of the experiment's tag that shows the runs of one sweep, by ratio."""
    chosen = {f"{kind}.`{name}`": _WIDTHS[kind] for kind, names in _COLUMNS.items() for name in names}
    state = {
        "searchFilter": f"tags.sweep_id = '{sweep_id}' and tags.record_id != ''",
        "orderByKey": "metrics.`ratio`",
        "orderByAsc": False,
        "selectedColumns": list(chosen),
        "columnOrder": [_NAME, _CREATED, *chosen, "duration"],
        "columnWidths": {_NAME: 280, _CREATED: 130, **chosen},
    }
    return f"mlflow.sharedViewState.{_key(sweep_id)}", json.dumps(state)


def link_to(experiment_id: str, sweep_id: str | None) -> str:
    """Return where the UI shows a sweep's runs, or all of an experiment, relative to the UI's address."""
    view = f"?viewStateShareKey={_key(sweep_id)}&workflowType=machine_learning" if sweep_id else ""
    return f"#/experiments/{experiment_id}/runs{view}"


def note_of(description: str, link: str) -> str:
    """Return the description of a sweep's run with the way to its runs, cut between lines where too long."""
    tail = f"\n\n[The runs of this sweep, by ratio]({link})\n"
    if len(description) + len(tail) > _MAX_NOTE:
        tail = f"\n\n(shortened: all of it is in the artifacts){tail}"
        room = _MAX_NOTE - len(tail) - len(f"\n{_FENCE}")
        description = description[:room].rpartition("\n")[0] or description[:room]
        if description.count(_FENCE) % 2:  # the line that would close it is gone
            description += f"\n{_FENCE}"
    return description.rstrip() + tail


def _key(sweep_id: str) -> str:
    return f"mps-sweep-{sweep_id}"
