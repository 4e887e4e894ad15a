"""Search for the best cell under limits with few runs: which run is to be made next; pure."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from mps_experiments.analysis.standing import LOG_ZONE, Fate, Runs, Standing

MOST_BLOCKS = 12
NOISE_RUNS = 3
NONE_FITS = "no run would be done within the budget"


@dataclass(kw_only=True)
class Search(Runs):
    """A search over cells; those that are excluded are not, or no longer, measured.

    Attributes:
        seed: What the order within each block is drawn from.
        first_block: Number of the first block that the search adds; stored runs have blocks of other names.
        stopped: Why no run is added any more; empty before.
        rounds: How many blocks were begun after the first pass.
        begun: Whether any run was begun.
    """

    seed: int = 0
    first_block: int = 0
    stopped: str = ""
    rounds: int = 0
    begun: bool = False

    def trials(self, fits: Callable[[int], bool]) -> Iterator[tuple[int, int]]:
        """Yield cell and block of each run to make; `add` or `excluded` has its result before the next.

        Args:
            fits: Tells whether a run of a cell is done before the time is up.
        """
        if self.noise() is None:
            for block in range(self.first_block, self.first_block + NOISE_RUNS):
                if not self.has(self.reference, block):
                    yield from self._run([self.reference], block, fits)
        yield from self._run(self._first_pass(), self.first_block, fits)
        while not self.stopped:
            standing = self.standing()
            wanted = self._worth_measuring(standing)
            fresh = [arm for arm in wanted if self._may_tell_more(arm, wanted[-1], standing)]
            if len(self.excluded) == len(self.arms):
                self.stopped = "no cell can be measured"
            elif not wanted:
                self.stopped = self._decided(standing)
            elif not fresh:
                self.stopped = f"{MOST_BLOCKS} blocks were measured"
            else:
                self.rounds += 1
                own = (each for each in self.places if isinstance(each, int))
                block = 1 + max(own, default=self.first_block - 1)
                arms = list(dict.fromkeys([*fresh, wanted[-1]]))
                yield from self._run(self._drawn(arms, block), block, fits)

    def _decided(self, standing: Standing) -> str:
        """Say why nothing is left to measure."""
        unknowable = len(standing.of(Fate.UNKNOWABLE))
        if unknowable == len(self.arms) - len(self.excluded):
            return "the runs of no cell tell whether it keeps the limits"
        return f"every {'other ' if unknowable else ''}cell is known to be tied, worse or outside a limit"

    def _may_tell_more(self, arm: int, beside: int, standing: Standing) -> bool:
        common = self.blocks(arm) if arm == beside else self.over(beside)[arm].blocks
        return standing.fates[arm] is Fate.OPEN and common < MOST_BLOCKS

    def least_runs(self) -> int:
        """Return how many runs are to be made at least, as long as none rules a cell out."""
        new = {arm for arm in self.all_arms if not self.blocks(arm)} - self.excluded
        if self.noise() is not None:
            return max(1, len(new))
        own = range(self.first_block, self.first_block + NOISE_RUNS)
        noise_runs = sum(not self.has(self.reference, block) for block in own)
        return noise_runs + len(new - {self.reference})

    def is_over(self, fits: Callable[[int], bool]) -> bool:
        """Tell whether there is no run to make; `fits` as for `trials`."""
        decided = next(self.trials(fits), None) is None
        self.rounds = 0
        return decided

    def _run(self, arms: Sequence[int], block: int, fits: Callable[[int], bool]) -> Iterator[tuple[int, int]]:
        for arm in arms:
            if arm in self.excluded:  # perhaps since the block was begun
                continue
            if fits(arm):
                yield arm, block
                self.begun = True
            else:
                self.stopped = "the budget is used up" if self.begun else NONE_FITS

    def _drawn(self, arms: Sequence[int], block: int) -> list[int]:
        draw = random.Random(f"{self.seed} {block}")  # noqa: S311 - an order, no secret
        return draw.sample(arms, len(arms))

    def _first_pass(self) -> list[int]:
        """List the cells without a run, in order, and the leader of those with stored runs beside them."""
        new = [arm for arm in self.all_arms if not self.blocks(arm) and arm not in self.excluded]
        leader = self.standing().leader
        if new and leader is not None and not self.has(leader, self.first_block):
            new.append(leader)
        return sorted(self._drawn(new, self.first_block), key=lambda arm: self.arms[arm].depth)

    def _worth_measuring(self, standing: Standing) -> list[int]:
        """List the open cells and, last, the one that they are compared with.

        That is the best cell that seems to keep the limits, even where this is not known: as long as it seems
        so, cells that are worse than it wait.
        """
        still_open = standing.of(Fate.OPEN)
        known = still_open if standing.leader is None else [*still_open, standing.leader]
        likely = [arm for arm in known if self.blocks(arm) and standing.seems_to_keep(arm)]
        if not still_open or not likely:
            return still_open
        effects = self.effects()
        best = max(likely, key=lambda arm: effects[arm])
        over = self.over(best)
        waiting = [] if best == standing.leader else [arm for arm in still_open if over[arm].high < -LOG_ZONE]
        return [*(arm for arm in still_open if arm not in (best, *waiting)), best]


def depths(count: int) -> list[int]:
    """Return when each of so many values in a row is taken: the ends at 0, then each middle of a gap.

    >>> depths(5)
    [0, 2, 1, 2, 0]
    """
    found = [0] * count
    gaps = [(0, count - 1, 1)]
    while gaps:
        first, last, depth = gaps.pop()
        if last - first > 1:
            middle = (first + last) // 2
            found[middle] = depth
            gaps += [(first, middle, depth + 1), (middle, last, depth + 1)]
    return found
