"""Search for the best cell under limits with few runs; pure.

Each run of a cell in a block gives a score, the logarithm of what is to be as large as possible, and one
excess for each limit, the logarithm of value over limit. What the runs of a block share falls out of the
differences of two cells within blocks. Their mean has a t interval (`moderated`), corrected by Bonferroni for
the number of cells. Limits are tested alike, each from one side. The formulas are in docs/recommend.md.
"""

import math
import random
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from mps_experiments.analysis.moderated import ENOUGH, Interval, Samples, quantile

ZONE = 0.05  # relative difference that makes no difference to the user
MOST_BLOCKS = 12
NOISE_RUNS = 3
_ERROR = 0.05  # probability with which any interval of a kind may miss
_PAIRED = 4  # degrees of freedom from which on the differences within blocks tell the noise by themselves
_LOG_ZONE = math.log1p(ZONE)
_NONE_FITS = "no run would be done within the budget"


class Fate(Enum):
    """What is known of a cell, compared with the leader and the limits."""

    LEADER = "leader"
    TIED = "tied"
    WORSE = "worse"
    BROKEN = "breaks a limit"
    UNKNOWABLE = "no value for a limit"
    OPEN = "not known"
    EXCLUDED = "excluded"


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One cell of a search.

    Attributes:
        cost: What it takes; of cells that tie the one with the least is preferred.
        depth: The first pass takes cells in this order.
    """

    cost: tuple[float, ...]
    depth: int = 0


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What the runs so far say.

    Attributes:
        leader: The best cell that is known to keep all limits; None if none is.
        chosen: The cheapest cell within the zone of the leader; None without a leader.
        fates: One for each cell.
        excess: For each limit the excess of each cell.
    """

    leader: int | None
    chosen: int | None
    fates: tuple[Fate, ...]
    excess: tuple[list[Interval], ...]

    def of(self, fate: Fate) -> list[int]:
        """List the cells of this fate."""
        return [arm for arm, each in enumerate(self.fates) if each is fate]

    def seems_to_keep(self, arm: int) -> bool:
        """Tell whether a cell's means are within all limits."""
        return all(of_limit[arm].mean <= 0 for of_limit in self.excess)


@dataclass(kw_only=True)
class Search:
    """A search over cells.

    Attributes:
        arms: The cells; known by their positions from here on.
        limits: How many limits there are.
        reference: The cell whose repeats show the machine's noise.
        seed: What the order within each block is drawn from.
        first_block: Number of the first block that the search adds; stored runs have blocks of other names.
        excluded: Cells that are not, or no longer, searched.
        stopped: Why no run is added any more; empty before.
        rounds: How many blocks were begun after the first pass.
        begun: Whether any run was begun.
    """

    arms: Sequence[Arm]
    limits: int = 0
    reference: int = 0
    seed: int = 0
    first_block: int = 0
    excluded: set[int] = field(default_factory=set)
    stopped: str = ""
    rounds: int = 0
    begun: bool = False

    def __post_init__(self) -> None:
        self._all = range(len(self.arms))
        self._blocks: dict[Hashable, int] = {}  # its place in the scores
        self._scores = np.empty((len(self.arms), 0))  # NaN where a cell was not measured
        self._counts = [0] * len(self.arms)
        self._excess: list[list[list[float]]] = [[[] for _ in self.arms] for _ in range(self.limits)]

    def add(self, arm: int, block: Hashable, score: float, excess: Sequence[float | None] = ()) -> None:
        """Add a run; an excess of None is a value that the run does not tell."""
        if block not in self._blocks:
            self._blocks[block] = len(self._blocks)
            self._scores = np.column_stack([self._scores, np.full(len(self.arms), math.nan)])
        self._counts[arm] += not self._has(arm, block)
        self._scores[arm, self._blocks[block]] = score
        for limit, value in enumerate(excess):
            if value is not None:
                self._excess[limit][arm].append(value)

    def blocks(self, arm: int) -> int:
        """Return in how many blocks a cell was measured."""
        return self._counts[arm]

    def _has(self, arm: int, block: Hashable) -> bool:
        return block in self._blocks and not math.isnan(self._scores[arm, self._blocks[block]])

    def trials(self, fits: Callable[[int], bool]) -> Iterator[tuple[int, int]]:
        """Yield cell and block of each run to make; `add` or `excluded` has its result before the next.

        Args:
            fits: Tells whether a run of a cell is done before the time is up.
        """
        if not self._noise()[0]:
            for block in range(self.first_block, self.first_block + NOISE_RUNS):
                if not self._has(self.reference, block):
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
                own = (each for each in self._blocks if isinstance(each, int))
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
        new = {arm for arm in self._all if not self.blocks(arm)} - self.excluded
        if self._noise()[0]:
            return max(1, len(new))
        own = range(self.first_block, self.first_block + NOISE_RUNS)
        noise_runs = sum(not self._has(self.reference, block) for block in own)
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
                self.stopped = "the budget is used up" if self.begun else _NONE_FITS

    def _drawn(self, arms: Sequence[int], block: int) -> list[int]:
        draw = random.Random(f"{self.seed} {block}")  # noqa: S311 - an order, no secret
        return draw.sample(arms, len(arms))

    def _first_pass(self) -> list[int]:
        """List the cells without a run, in order, and the leader of those with stored runs beside them."""
        new = [arm for arm in self._all if not self.blocks(arm)]
        leader = self.standing().leader
        if new and leader is not None and not self._has(leader, self.first_block):
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
        waiting = (
            [] if best == standing.leader else [arm for arm in still_open if over[arm].high < -_LOG_ZONE]
        )
        return [*(arm for arm in still_open if arm not in (best, *waiting)), best]

    def standing(self) -> Standing:
        """Judge all cells by the runs so far."""
        excess = tuple(self._excess_of(limit) for limit in range(self.limits))
        own = [[of_limit[arm] for of_limit in excess] for arm in self._all]
        fates = [self._fate_by_limits(arm, own[arm]) for arm in self._all]
        is_kept = [
            fates[arm] is Fate.OPEN and self.blocks(arm) > 0 and all(each.high <= 0 for each in own[arm])
            for arm in self._all
        ]
        effects = self.effects()
        leader = max((arm for arm in self._all if is_kept[arm]), key=lambda arm: effects[arm], default=None)
        if leader is None:
            return Standing(leader=None, chosen=None, fates=tuple(fates), excess=excess)
        over, chosen = self.over(leader), leader
        fates[leader] = Fate.LEADER
        for _ in range(2):  # once the cheapest cell that ties is known, what costs more is of less use
            for arm in self._all:
                if fates[arm] in (Fate.OPEN, Fate.UNKNOWABLE):
                    costs_more = self.arms[arm].cost > self.arms[chosen].cost
                    fates[arm] = self._fate_beside(over[arm], fates[arm], costs_more, is_kept[arm])
            tied = [arm for arm in self._all if fates[arm] in (Fate.LEADER, Fate.TIED)]
            chosen = min(tied, key=lambda arm: self.arms[arm].cost)
        return Standing(leader=leader, chosen=chosen, fates=tuple(fates), excess=excess)

    def _fate_by_limits(self, arm: int, own: Sequence[Interval]) -> Fate:
        if arm in self.excluded:
            return Fate.EXCLUDED
        if any(each.low > 0 for each in own):
            return Fate.BROKEN
        if self.blocks(arm) and not all(each.blocks for each in own):
            return Fate.UNKNOWABLE
        return Fate.OPEN

    @staticmethod
    def _fate_beside(over: Interval, before: Fate, costs_more: bool, is_kept: bool) -> Fate:
        """Judge a cell beside the leader; one that costs more is of use only if it is clearly better."""
        if is_kept and over.low >= -_LOG_ZONE and over.high <= _LOG_ZONE:
            return Fate.TIED
        if over.high < (0 if costs_more else -_LOG_ZONE):
            return Fate.WORSE
        if is_kept:
            return Fate.WORSE if costs_more and over.high <= _LOG_ZONE else Fate.OPEN
        return before

    def effects(self) -> list[float]:
        """Fit score = cell + block by least squares; return the cells' parts, NaN for one without a run."""
        arms, blocks = np.nonzero(~np.isnan(self._scores))
        rows = np.arange(len(arms))
        design = np.zeros((len(arms), sum(self._scores.shape)))
        design[rows, arms] = design[rows, len(self.arms) + blocks] = 1
        fitted = np.linalg.lstsq(design, self._scores[arms, blocks], rcond=None)[0]
        return [float(fitted[arm]) if self.blocks(arm) else math.nan for arm in self._all]

    def over(self, other: int) -> list[Interval]:
        """Return the score of every cell less that of another, over the blocks that both have."""
        paired = self._paired(other)
        return paired.intervals(self._pooled(paired), self._confidence)

    def _paired(self, other: int) -> Samples:
        differences = self._scores - self._scores[other]
        differences[other] = math.nan  # that it equals itself tells nothing of the noise
        return Samples.of(differences)

    @property
    def _confidence(self) -> float:
        return 1 - _ERROR / (2 * max(1, len(self.arms) - len(self.excluded) - 1))

    def _pooled(self, paired: Samples) -> tuple[int, float]:
        """Return degrees of freedom and variance of a difference within a block, over all cells.

        As long as few cells were measured twice, the reference's repeats count, too: a difference of two runs
        has the variance of both.
        """
        freedom, variance = paired.pooled()
        if freedom >= _PAIRED:
            return freedom, variance
        more, repeats = Samples.of(math.sqrt(2) * self._scores[[self.reference]]).pooled()
        return freedom + more, (freedom * variance + more * repeats) / max(1, freedom + more)

    def _excess_of(self, limit: int) -> list[Interval]:
        values = self._excess[limit]
        longest = max(map(len, values))
        samples = Samples.of(np.array([[*own, *[math.nan] * (longest - len(own))] for own in values]))
        return samples.intervals(samples.pooled(), 1 - _ERROR / (len(values) * self.limits))

    def _noise(self) -> tuple[int, float]:
        """Return degrees of freedom and variance of a difference, as the cell that tells most of it says."""
        return max(self._pooled(self._paired(other)) for other in self._all)

    def noise(self) -> float | None:
        """Return the relative standard deviation of equal runs; None if it is not known."""
        freedom, variance = self._noise()
        return math.sqrt(variance / 2) if freedom else None

    def detectable(self, blocks: int) -> float | None:
        """Return the smallest relative difference of two cells that shows over so many blocks.

        Several blocks of several cells will bring the degrees of freedom that the runs so far may lack.
        """
        freedom, variance = self._noise()
        if not freedom:
            return None
        then = max(blocks - 1, ENOUGH if blocks > 1 else min(freedom, ENOUGH))
        t = quantile(self._confidence, np.array([then]))
        return math.expm1(float(t[0]) * math.sqrt(variance / blocks))


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
