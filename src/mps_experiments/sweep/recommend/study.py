"""The cells of a search, their runs so far, and what rules a cell out before it is measured."""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from mps_experiments.analysis.numbers import short
from mps_experiments.config.composer import Cell
from mps_experiments.record.axes import FACTORS, items_of, key_of
from mps_experiments.record.latencies import ENOUGH
from mps_experiments.record.machine import MachineFacts
from mps_experiments.record.measurement import Measurement
from mps_experiments.run.plan import RunPlan
from mps_experiments.run.recorder import cell_of
from mps_experiments.run.skip import reason_to_skip
from mps_experiments.sweep.recommend.aim import Aim
from mps_experiments.sweep.recommend.known import KnownCells, whole_name

_WINDOWS_S = (5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0)  # few, so that a later search finds the same again
_SPARE = 1.1  # of iterations: other cells may be slower than the one that the window was chosen by
_ON_PAPER = 0.9  # share of the memory expected that a cell will take at least: clients of MPS share some
_GIB = 2**30


class Study(KnownCells):
    """What is searched.

    Args:
        aim: What is wanted.
        cells: The cells; those that cannot run here are ruled out at once.
        plans: Of each.
        varied: The options in which they differ.

    Attributes:
        stored: Cell and file of each stored run in use.
        lacks_hardware: Whether no cell can run for want of hardware.
    """

    def __init__(
        self, aim: Aim, cells: Sequence[Cell], plans: Sequence[RunPlan], varied: frozenset[str]
    ) -> None:
        self.cells, self.plans = cells, plans
        axes = [cell_of(plan).axes for plan in plans]
        words = [[text for text in cell.overrides if key_of(text) in varied] for cell in cells]
        names = [whole_name(each, own) for each, own in zip(axes, words, strict=True)]
        super().__init__(aim, axes, names, seed=cells[0].config.order_seed)
        self.stored: list[tuple[int, Path]] = []
        self._failures: Counter[int] = Counter()
        verdicts = [reason_to_skip(plan) for plan in plans]
        for arm, verdict in enumerate(verdicts):
            if verdict is not None:
                self.exclude(arm, f"SKIPPED: {verdict.reason}")
        self.lacks_hardware = all(verdict is not None and verdict.is_success for verdict in verdicts)
        left = [arm for arm, verdict in enumerate(verdicts) if verdict is None]
        self.search.reference = min(left, key=lambda arm: self.search.arms[arm].cost, default=0)

    def add_stored(self, arm: int, run: Measurement, path: Path) -> None:
        """Add a stored VALID run; its block is that of its sweep."""
        self.stored.append((arm, path))
        self.take(arm, run)

    def add(self, arm: int, block: int, run: Measurement | None) -> None:
        """Add the run that was just made; None if it could not be begun."""
        if run is None:
            self.exclude(arm, "its run could not be begun")
            return
        self.measured += 1
        if run.verdict.is_valid:
            self._add(arm, block, run)
            return
        self._failures[arm] += 1
        if self._failures[arm] > len(self.runs[arm]):  # once may be bad luck in a cell that worked before
            self.exclude(arm, f"{run.verdict.status.value}: {run.verdict.reason}")

    def exclude_on_paper(self, machine: MachineFacts) -> None:
        """Rule out cells without a run that cannot work, or not well: too few cores, too little memory."""
        cores = max(1, math.floor(min(len(machine.usable_cores), machine.cpu_quota_cores or math.inf)))
        for arm, plan in enumerate(self.plans):
            if self.runs[arm]:
                continue
            if plan.worker_count > cores:
                self.exclude(
                    arm, f"{plan.worker_count} processes on {cores} CPU cores mostly wait for a core"
                )
            elif reason := self._lack_of_memory(arm):
                self.exclude(arm, reason)

    def _lack_of_memory(self, arm: int) -> str:
        plan, gpu = self.plans[arm], self.plans[arm].device.gpu
        replica_bytes = self._replica_bytes(arm)
        if gpu is None or replica_bytes is None:
            return ""
        limits = [(limit.most, "the limit is") for limit in self.aim.limits if limit.flag == "--memory-gib"]
        most_gib, what = min([(gpu.memory_total_bytes / _GIB, "the GPU has"), *limits])
        replica_gib = replica_bytes / _GIB
        if replica_gib * plan.worker_count * _ON_PAPER <= most_gib:
            return ""
        need = f"{plan.worker_count} replicas of {short(replica_gib)} GiB need"
        return f"{need} {short(replica_gib * plan.worker_count)} GiB: {what} {short(most_gib)} GiB"

    def _replica_bytes(self, arm: int) -> float | None:
        """Return the memory of a replica, as told by the smallest cell that differs in processes only."""
        own = self._but_procs(arm)
        alike = [each for each in range(len(self.plans)) if self.runs[each] and self._but_procs(each) == own]
        if not alike:
            return None
        run = self.runs[min(alike, key=lambda each: self.plans[each].worker_count)][0]
        counted = [worker.gpu_memory_bytes for worker in run.workers if worker.gpu_memory_bytes]
        return sum(counted) / len(counted) if counted else None

    def _but_procs(self, arm: int) -> list[object]:
        return [self.axes[arm][axis.name] for axis in FACTORS if axis.name != "procs"]

    def window_s(self, pilot: Measurement, budget_s: float) -> float | None:
        """Return the window in which every cell should do the iterations that p99 takes.

        Args:
            pilot: A run of the reference cell.
            budget_s: One pass over the cells may take half of it.

        Returns:
            Seconds; None where the window of the pilot will do, or no longer one fits.
        """
        figures, own_s = pilot.statistics(), pilot.cell.window_s
        if figures is None or own_s is None:
            return None
        items = max(map(items_of, self.axes)) / pilot.cell.items
        needed_s = _SPARE * ENOUGH[99] * items / sum(figures.rates_per_s)
        most_s = budget_s / 2 / len(self.cells) - (pilot.wall_s - own_s)
        longer = [each for each in _WINDOWS_S if own_s < each <= most_s]
        if needed_s <= own_s or not longer:
            return None
        return next((each for each in longer if each >= needed_s), longer[-1])
