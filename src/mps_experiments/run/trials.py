"""List the runs of one cell: one, or with a fault a one-process reference run and then the trials."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mps_experiments.record.axes import without
from mps_experiments.record.run_paths import RunPaths
from mps_experiments.run.plan import RunPlan
from mps_experiments.run.skip import reason_to_skip


@dataclass(frozen=True, kw_only=True)
class CellRun:
    """One run of a cell.

    Attributes:
        plan: Its plan, with a folder of its own.
        config: The configuration that asks for just this run.
        overrides: Command-line overrides that set it apart.
        remark: Text to show beside its name; empty for most.
    """

    plan: RunPlan
    config: dict[str, Any]
    overrides: tuple[str, ...]
    remark: str = ""


def runs_of(plan: RunPlan, config: dict[str, Any], overrides: Sequence[str]) -> Iterator[CellRun]:
    """List the runs of the cell that `plan` describes, in order.

    With a fault, a run of one process without the fault comes first, in the folder ``reference``: the
    survivors' time is compared with it. Then comes each trial, in a folder ``trial-N``. A skipped cell is
    one run.
    """
    if plan.fault is None or reason_to_skip(plan) is not None:
        yield CellRun(plan=plan, config=config, overrides=tuple(overrides))
        return
    yield CellRun(
        plan=replace(
            plan,
            varied=without(plan.varied, "fault"),
            worker_count=1,
            workloads=plan.workloads[:1],
            fault=None,
            paths=RunPaths(folder=plan.paths.folder / "reference"),
        ),
        config=_without_fault(plan, config),
        overrides=(*without(overrides, "procs", "fault"), "procs=1"),
        remark=f"reference for fault={plan.fault.kind}",
    )
    for trial in range(plan.fault.trials):
        paths = RunPaths(folder=plan.paths.folder / f"trial-{trial}")
        numbered = replace(plan, fault=replace(plan.fault, trial=trial), paths=paths)
        yield CellRun(plan=numbered, config=config, overrides=tuple(overrides))


def count_runs(plans: Sequence[RunPlan]) -> int:
    """Count the runs of these cells."""
    return sum(len(list(runs_of(plan, {}, ()))) for plan in plans)


def _without_fault(plan: RunPlan, config: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration of one process which, as with a fault, neither keeps up the load nor moves."""
    affinity = "auto" if plan.workers.pinned else "none"
    single = copy.deepcopy(config)
    single |= {"procs": 1, "window": "fixed"}
    single["fault"] = single.get("fault", {}) | {"kind": "none", "worker": 0}
    single["workers"] = single.get("workers", {}) | {"cpu_affinity": affinity}
    return single
