"""List the runs of one cell: one, or with a fault a one-process reference run and then the trials."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mps_experiments.record.axes import without
from mps_experiments.run.plan import RunPaths, RunPlan
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
    yield _reference(plan, config, overrides)
    for trial in range(plan.fault.trials):
        numbered = replace(
            plan,
            fault=replace(plan.fault, trial=trial),
            paths=RunPaths(folder=plan.paths.folder / f"trial-{trial}"),
        )
        yield CellRun(plan=numbered, config=config, overrides=tuple(overrides))


def count_runs(plans: Sequence[RunPlan]) -> int:
    """Count the runs of these cells."""
    return sum(len(list(runs_of(plan, {}, ()))) for plan in plans)


def _reference(plan: RunPlan, config: dict[str, Any], overrides: Sequence[str]) -> CellRun:
    single = copy.deepcopy(config)
    single["procs"] = 1
    single["fault"] = {**single.get("fault", {}), "kind": "none", "worker": 0}
    # With a fault workers neither keep up the load nor move. So the reference must not, either.
    single["window"] = "fixed"
    single["workers"] = {
        **single.get("workers", {}),
        "cpu_affinity": "auto" if plan.workers.pinned else "none",
    }
    alone = replace(
        plan,
        varied=without(plan.varied, "fault"),
        worker_count=1,
        workloads=plan.workloads[:1],
        fault=None,
        paths=RunPaths(folder=plan.paths.folder / "reference"),
    )
    remark = f"reference for fault={plan.fault.kind}" if plan.fault else ""
    return CellRun(
        plan=alone, config=single, overrides=(*without(overrides, "procs", "fault"), "procs=1"), remark=remark
    )
