"""The cells of a search, their runs so far, and what rules a cell out before it is measured."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mps_experiments.analysis.numbers import short
from mps_experiments.analysis.search import Arm, Search, depths
from mps_experiments.config.composer import Cell
from mps_experiments.record.axes import EXTRA_FACTORS, FACTORS, chosen, items_of, key_of
from mps_experiments.record.latencies import ENOUGH
from mps_experiments.record.machine import MachineFacts
from mps_experiments.record.measurement import Measurement
from mps_experiments.record.verdict import Status
from mps_experiments.run.plan import RunPlan
from mps_experiments.run.skip import reason_to_skip
from mps_experiments.sweep.recommend.aim import Aim

WINDOWS_S = (5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0)  # few, so that a later search finds the same again
_SPARE = 1.1  # of iterations: other cells may be slower than the one that the window was chosen by
_ON_PAPER = 0.9  # share of the memory expected that a cell will take at least: clients of MPS share some
_GIB = 2**30


@dataclass(kw_only=True)
class Study:
    """What is searched.

    Attributes:
        names: What sets each cell apart.
        runs: The VALID runs of each cell.
        reasons: Why cells are not, or no longer, searched.
        skipped: Cells for which this machine lacks what they need.
        stored: Cell and file of each stored run in use.
        measured: How many runs were made.
    """

    aim: Aim
    cells: Sequence[Cell]
    plans: Sequence[RunPlan]
    names: Sequence[str]
    search: Search
    runs: list[list[Measurement]]
    reasons: dict[int, str] = field(default_factory=dict)
    skipped: set[int] = field(default_factory=set)
    stored: list[tuple[int, Path]] = field(default_factory=list)
    measured: int = 0
    _failures: Counter[int] = field(default_factory=Counter)

    @classmethod
    def of(cls, aim: Aim, cells: Sequence[Cell], plans: Sequence[RunPlan], varied: frozenset[str]) -> "Study":
        """Set up the search over the cells of a command line; those that cannot run here are ruled out."""
        arms = _arms([chosen(cell.config) for cell in cells])
        reference = min(range(len(arms)), key=lambda arm: arms[arm].cost)
        study = cls(
            aim=aim,
            cells=cells,
            plans=plans,
            names=[_name(cell, plan, varied) for cell, plan in zip(cells, plans, strict=True)],
            search=Search(
                arms=arms,
                limits=len(aim.limits),
                reference=reference,
                seed=cells[0].config.order_seed,
            ),
            runs=[[] for _ in cells],
        )
        for arm, plan in enumerate(plans):
            if (verdict := reason_to_skip(plan)) is not None:
                study.exclude(arm, f"SKIPPED: {verdict.reason}")
                study.skipped |= {arm} if verdict.is_success else set()
        left = [arm for arm in range(len(arms)) if arm not in study.search.excluded]
        study.search.reference = min(left, key=lambda arm: arms[arm].cost, default=reference)
        return study

    @property
    def reference(self) -> int:
        return self.search.reference

    def exclude(self, arm: int, reason: str) -> None:
        """Search a cell no longer."""
        self.reasons.setdefault(arm, reason)
        self.search.excluded.add(arm)

    def add_stored(self, arm: int, run: Measurement, path: Path) -> None:
        """Add a stored VALID run; its block is that of its sweep."""
        self.stored.append((arm, path))
        self._add(arm, (run.sweep_id, run.cell.repeat), run)
        self.search.first_block = max(self.search.first_block, run.cell.repeat + 1)

    def add(self, arm: int, block: int, run: Measurement | None) -> None:
        """Add the run that was just made; None if it could not be begun."""
        if run is None:
            self.exclude(arm, "its run could not be begun")
            return
        self.measured += 1
        if run.verdict.status is Status.VALID:
            self._add(arm, block, run)
            return
        self._failures[arm] += 1
        if self._failures[arm] > len(self.runs[arm]):  # once may be bad luck in a cell that worked before
            self.exclude(arm, f"{run.verdict.status.value}: {run.verdict.reason}")

    def _add(self, arm: int, block: object, run: Measurement) -> None:
        score = self.aim.score(run)
        if score is None:
            self.exclude(arm, f"its {self.aim.goal.name} is not known: the GPU's energy was not read")
            return
        self.runs[arm].append(run)
        self.search.add(arm, block, score, self.aim.excess(run))

    def exclude_on_paper(self, machine: MachineFacts) -> None:
        """Rule out cells without a run that cannot work, or not well: too little memory, too few cores."""
        quota = machine.cpu_quota_cores or math.inf
        cores = max(1, math.floor(min(len(machine.usable_cores), quota)))
        for arm, plan in enumerate(self.plans):
            if self.runs[arm] or arm in self.search.excluded:
                continue
            if plan.worker_count > cores:
                self.exclude(
                    arm, f"{plan.worker_count} processes on {cores} CPU cores mostly wait for a core"
                )
            elif reason := self._lack_of_memory(arm):
                self.exclude(arm, reason)

    def _lack_of_memory(self, arm: int) -> str:
        plan, gpu = self.plans[arm], self.plans[arm].device.gpu
        if gpu is None or (replica := self._replica_bytes(arm)) is None:
            return ""
        needed = replica * plan.worker_count
        limits = [limit.most for limit in self.aim.limits if limit.flag == "--memory-gib"]
        most_gib, whose = min(
            [(gpu.memory_total_bytes / _GIB, "the GPU has"), *((most, "the limit is") for most in limits)]
        )
        if needed * _ON_PAPER <= most_gib * _GIB:
            return ""
        each = f"{plan.worker_count} replicas of {short(replica / _GIB)} GiB"
        return f"{each} need {short(needed / _GIB)} GiB: {whose} {short(most_gib)} GiB"

    def _replica_bytes(self, arm: int) -> float | None:
        """Return the memory of a replica, told by the cell with the fewest processes that is alike else."""
        own = self._but_procs(arm)
        alike = [each for each in range(len(self.plans)) if self.runs[each] and self._but_procs(each) == own]
        if not alike:
            return None
        run = self.runs[min(alike, key=lambda each: self.plans[each].worker_count)][0]
        counted = [worker.gpu_memory_bytes for worker in run.workers]
        if any(each is None for each in counted):
            return None
        return sum(each or 0 for each in counted) / len(counted)

    def _but_procs(self, arm: int) -> list[object]:
        axes = chosen(self.cells[arm].config)
        return [axes[axis.name] for axis in FACTORS if axis.name != "procs"]

    def window_s(self, pilot: Measurement, budget_s: float) -> float | None:
        """Return the window in which every cell should do the iterations that p99 takes.

        Args:
            pilot: A run of the reference cell.
            budget_s: One pass over the cells may take half of it.

        Returns:
            Seconds; None where the window of the pilot will do.
        """
        figures, own_s = pilot.statistics(), pilot.cell.window_s
        if figures is None or own_s is None:
            return None
        items = max(items_of(chosen(cell.config)) for cell in self.cells) / pilot.cell.items
        needed_s = _SPARE * ENOUGH[99] * items / sum(figures.rates_per_s)
        left = len(self.cells) - len(self.search.excluded)
        most_s = budget_s / 2 / left - (pilot.wall_s - own_s)
        fitting = [window for window in WINDOWS_S if window <= most_s]
        enough = [window for window in fitting if window >= needed_s]
        window = min(enough, default=max(fitting, default=own_s))
        return window if window > own_s else None


def _name(cell: Cell, plan: RunPlan, varied: frozenset[str]) -> str:
    words = [text for text in cell.overrides if key_of(text) in varied - {"repeat"}]
    return " ".join(words) or plan.name


def _arms(axes: Sequence[dict[str, object]]) -> list[Arm]:
    """Return the cost of each cell and when it is measured first.

    A cell costs by its processes, then by MPS, then by unusual values of other axes, by their size, and last
    by its place. The cells with the fewest processes come first: what others need is told by them.
    """
    depth_of = {}
    for axis in FACTORS:
        values = {each[axis.name] for each in axes}
        numbers = sorted(value for value in values if type(value) in (int, float))  # type: ignore[type-var]
        depth_of[axis.name] = dict(zip(numbers, depths(len(numbers)), strict=True))
    fewest = min(int(str(each["procs"])) for each in axes)
    arms = []
    for place, each in enumerate(axes):
        extras = [each[axis.name] for axis in EXTRA_FACTORS]
        unusual = sum(value != axis.usual for value, axis in zip(extras, EXTRA_FACTORS, strict=True))
        sizes = [float(value) for value in extras if isinstance(value, int | float)]
        procs = int(str(each["procs"]))
        cost = (float(procs), float(bool(each["mps"])), float(unusual), *sizes, float(place))
        depth = sum(found.get(each[name], 0) for name, found in depth_of.items())
        arms.append(Arm(cost=cost, depth=-1 if procs == fewest else depth))
    return arms
