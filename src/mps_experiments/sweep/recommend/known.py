"""The cells among which one is chosen, and what their runs tell."""

from collections.abc import Mapping, Sequence
from typing import Any

from mps_experiments.analysis.search import Search, depths
from mps_experiments.analysis.standing import Arm
from mps_experiments.record.axes import EXTRA_FACTORS, FACTORS, factor_words, is_number, key_of
from mps_experiments.record.measurement import Measurement
from mps_experiments.sweep.recommend.aim import Aim


class KnownCells:
    """Cells and their runs. A cell is known by its position.

    Args:
        aim: What is wanted.
        axes: The values of each cell's axes, by name.
        names: The configuration of each cell, as `whole_name` writes it.
        seed: What the order of a search's runs is drawn from.

    Attributes:
        search: The search over them.
        runs: The VALID runs of each cell.
        reasons: Why cells are not, or no longer, searched.
        taken: How many stored runs are in use.
        measured: How many runs were made.
        unused: How many stored runs are not used, and why; empty if all are.
        longer_window: What the user can do for more iterations in a run.
        more_blocks: Likewise for more blocks.
    """

    def __init__(self, aim: Aim, axes: Sequence[dict[str, Any]], names: Sequence[str], seed: int = 0) -> None:
        self.aim, self.axes, self.names = aim, axes, names
        arms = _arms(axes)
        smallest = min(range(len(arms)), key=lambda arm: arms[arm].cost)
        hard = frozenset(place for place, limit in enumerate(aim.limits) if limit.is_hard)
        self.search = Search(arms=arms, limits=len(aim.limits), reference=smallest, seed=seed, hard=hard)
        self.runs: list[list[Measurement]] = [[] for _ in axes]
        self.reasons: dict[int, str] = {}
        self.taken = self.measured = 0
        self.unused = ""
        self.longer_window, self.more_blocks = "give a longer window_s", "a larger --budget-min may tell"

    def is_off(self, arm: int) -> bool:
        """Tell whether a cell is without MPS."""
        return bool(self.axes[arm]["mps"] == "off")

    def exclude(self, arm: int, reason: str) -> None:
        """Search a cell no longer."""
        self.reasons.setdefault(arm, reason)
        self.search.excluded.add(arm)

    def take(self, arm: int, run: Measurement) -> None:
        """Add a stored VALID run; its block is that of its sweep."""
        self.taken += 1
        self._add(arm, (run.sweep_id, run.cell.repeat), run)
        self.search.first_block = max(self.search.first_block, run.cell.repeat + 1)

    def _add(self, arm: int, block: object, run: Measurement) -> None:
        score = self.aim.score(run)
        if score is None:
            self.exclude(arm, f"its {self.aim.goal.name} is not known: the GPU's energy was not read")
            return
        self.runs[arm].append(run)
        self.search.add(arm, block, score, self.aim.excess(run))


def whole_name(axes: Mapping[str, Any], words: Sequence[str]) -> str:
    """Name a configuration by what sets it apart, then processes, MPS and unusual values that lack there."""
    more = [f"procs={axes['procs']}", f"mps={axes['mps']}", *factor_words(axes)]
    given = set(map(key_of, words))
    return " ".join([*words, *(text for text in more if key_of(text) not in given)])


def _arms(axes: Sequence[dict[str, Any]]) -> list[Arm]:
    """Return the cost of each cell, and when it is measured first.

    A cell costs by its processes, then by MPS, then by unusual values of other factors, by their size, and
    last by its place. The cells with the fewest processes come first: they tell what the others need.
    """
    depth_of = {}
    for axis in FACTORS:
        numbers = sorted({each[axis.name] for each in axes if is_number(each[axis.name])})
        depth_of[axis.name] = dict(zip(numbers, depths(len(numbers)), strict=True))
    fewest = min(each["procs"] for each in axes)
    arms = []
    for place, each in enumerate(axes):
        extras = {axis: each[axis.name] for axis in EXTRA_FACTORS}
        unusual = sum(value != axis.usual for axis, value in extras.items())
        sizes = [value for value in extras.values() if is_number(value)]
        depth = sum(found.get(each[name], 0) for name, found in depth_of.items())
        arms.append(
            Arm(
                cost=(each["procs"], each["mps"], unusual, *sizes, place),
                depth=-1 if each["procs"] == fewest else depth,
            )
        )
    return arms
