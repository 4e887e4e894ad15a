"""Prepare tables in MLflow's UI, which shows no param and no metric by default; pure.

A view is a tag of the experiment, as the UI's own "Share" writes it: who opens its link sees it, and
nobody's own columns are changed.
"""

import json
from collections.abc import Mapping

from mps_experiments.record.axes import FACTORS

_FACTORS = tuple(axis.name for axis in FACTORS)
_RUNS = {  # of one sweep
    "params": (*_FACTORS, "repeat"),
    "metrics": ("throughput_per_s", "gain", "ratio", "latency/p50_ms", "latency/p99_ms", "makespan_s"),
    "tags": ("cause",),
}
_SWEEPS = {  # of one experiment
    "params": ("model", "gpu", *_FACTORS),
    "metrics": (
        *("best_throughput_per_s", "best_procs", "knee_procs", "gain_best", "gain_over_off"),
        *("p50_at_best_ms", "p99_at_best_ms", "memory_at_best_gib"),
    ),
    "tags": ("verdict",),
}
_ALL = "mps-sweeps"
_WIDTHS = {"model": 160, "gpu": 130, "cause": 130, "verdict": 130}  # pixels, of columns with long values
_NAME, _CREATED = "attributes.`Run Name`", "runDateAndNestInfo"
_MAX_NOTE = 8000  # characters of a tag that MLflow takes
_FENCE = "```"


def sweep_view(sweep_id: str) -> tuple[str, str]:
    """Return key and value of the experiment's tag that shows the VALID runs of one sweep, the best first.

    Its parent run has no kind, and a twin is in no comparison: neither is among them.
    """
    of_it = f"tags.sweep_id = '{sweep_id}' and tags.kind != 'twin' and tags.verdict = 'VALID'"
    return _view(_key(sweep_id), of_it, "metrics.`throughput_per_s`", _RUNS)


def all_sweeps_view() -> tuple[str, str]:
    """Return key and value of the experiment's tag that compares its sweeps, the newest first."""
    return _view(_ALL, "tags.command != ''", "attributes.start_time", _SWEEPS)


def _view(key: str, condition: str, order: str, columns: Mapping[str, tuple[str, ...]]) -> tuple[str, str]:
    chosen = {
        f"{kind}.`{name}`": _WIDTHS.get(name, max(90, 8 * len(name) + 32))
        for kind, names in columns.items()
        for name in names
    }
    state = {
        "searchFilter": condition,
        "orderByKey": order,
        "orderByAsc": False,
        "selectedColumns": list(chosen),
        "columnOrder": [_NAME, _CREATED, *chosen, "duration"],
        "columnWidths": {_NAME: 340, _CREATED: 130, **chosen},
    }
    return f"mlflow.sharedViewState.{key}", json.dumps(state)


def link_to(experiment_id: str, sweep_id: str | None) -> str:
    """Return where the UI shows a sweep's runs, or all of an experiment, relative to the UI's address."""
    return _link(experiment_id, f"viewStateShareKey={_key(sweep_id)}&" if sweep_id else "")


def link_to_all_sweeps(experiment_id: str) -> str:
    """Return where the UI compares the sweeps of an experiment, relative to the UI's address."""
    return _link(experiment_id, f"viewStateShareKey={_ALL}&")


def _link(experiment_id: str, view: str) -> str:
    shown = f"?{view}workflowType=machine_learning" if view else ""
    return f"#/experiments/{experiment_id}/runs{shown}"


def note_of(description: str, links: Mapping[str, str]) -> str:
    """Return the description of a sweep's run with the links below it, cut between lines where too long.

    Args:
        description: Markdown.
        links: Text -> address.
    """
    tail = "\n\n" + " · ".join(f"[{text}]({address})" for text, address in links.items()) + "\n"
    if len(description) + len(tail) > _MAX_NOTE:
        tail = f"\n\n(shortened: all of it is in the artifacts){tail}"
        room = _MAX_NOTE - len(tail) - len(f"\n{_FENCE}")
        description = description[:room].rpartition("\n")[0] or description[:room]
        if description.count(_FENCE) % 2:  # the line that would close it is gone
            description += f"\n{_FENCE}"
    return description.rstrip() + tail


def _key(sweep_id: str) -> str:
    return f"mps-sweep-{sweep_id}"
