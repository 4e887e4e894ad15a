"""Judge cells by their runs so far: the best, what ties with it, what is worse or breaks a limit; pure.

Each run of a cell in a block gives a score, the logarithm of what is to be as large as possible, and one
excess for each limit, the logarithm of value over limit. What the runs of a block share falls out of the
differences of two cells within blocks. Their mean has a t interval (`moderated`), corrected by Bonferroni for
the number of cells. Limits are tested alike, each from one side. The formulas are in docs/recommend.md.
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from mps_experiments.analysis.moderated import ENOUGH, NOTHING, Interval, Samples, quantile

ZONE = 0.05  # relative difference that makes no difference to the user
LOG_ZONE = math.log1p(ZONE)
_ERROR = 0.05  # probability with which any interval of a kind may miss
_DRAWN = 1e-3  # weight with which the part of a block is 0
_PAIRED = 4  # degrees of freedom from which on the differences within blocks tell the noise by themselves


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
class Runs:
    """The runs so far, by cell and block, and what they say.

    Attributes:
        arms: The cells; known by their positions from here on.
        limits: How many limits there are.
        reference: The cell whose repeats show the machine's noise.
        excluded: Cells that are not, or no longer, judged.
        hard: Limits that no run may break: the largest value of a cell's runs counts, not their mean.
    """

    arms: Sequence[Arm]
    limits: int = 0
    reference: int = 0
    excluded: set[int] = field(default_factory=set)
    hard: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        self.all_arms = range(len(self.arms))
        self.places: dict[Hashable, int] = {}  # of the blocks in the scores
        self.scores = np.empty((len(self.arms), 0))  # NaN where a cell was not measured
        self._counts = [0] * len(self.arms)
        self._excess: list[list[list[float]]] = [[[] for _ in self.arms] for _ in range(self.limits)]

    def add(self, arm: int, block: Hashable, score: float, excess: Sequence[float | None] = ()) -> None:
        """Add a run; an excess of None is a value that the run does not tell."""
        if block not in self.places:
            self.places[block] = len(self.places)
            self.scores = np.column_stack([self.scores, np.full(len(self.arms), math.nan)])
        self._counts[arm] += not self.has(arm, block)
        self.scores[arm, self.places[block]] = score
        for limit, value in enumerate(excess):
            if value is not None:
                self._excess[limit][arm].append(value)

    def blocks(self, arm: int) -> int:
        """Return in how many blocks a cell was measured."""
        return self._counts[arm]

    def has(self, arm: int, block: Hashable) -> bool:
        """Tell whether a cell was measured in a block."""
        return block in self.places and not math.isnan(self.scores[arm, self.places[block]])

    def standing(self, is_final: bool = False) -> Standing:
        """Judge all cells by the runs so far.

        Args:
            is_final: Whether no run follows: cells that share too few blocks are compared all the same, as
                `difference` says.
        """
        excess = tuple(self._excess_of(limit) for limit in range(self.limits))
        own = [[of_limit[arm] for of_limit in excess] for arm in self.all_arms]
        fates = [self._fate_by_limits(arm, own[arm]) for arm in self.all_arms]
        is_kept = [
            fates[arm] is Fate.OPEN and self.blocks(arm) > 0 and all(each.high <= 0 for each in own[arm])
            for arm in self.all_arms
        ]
        effects = self.effects()
        leader = max(
            (arm for arm in self.all_arms if is_kept[arm]), key=lambda arm: effects[arm], default=None
        )
        if leader is None:
            return Standing(leader=None, chosen=None, fates=tuple(fates), excess=excess)
        chosen = leader
        over = [self.difference(arm, leader) for arm in self.all_arms] if is_final else self.over(leader)
        fates[leader] = Fate.LEADER
        for _ in range(2):  # once the cheapest cell that ties is known, what costs more is of less use
            for arm in self.all_arms:
                if fates[arm] in (Fate.OPEN, Fate.UNKNOWABLE):
                    costs_more = self.arms[arm].cost > self.arms[chosen].cost
                    fates[arm] = self._fate_beside(over[arm], fates[arm], costs_more, is_kept[arm])
            tied = [arm for arm in self.all_arms if fates[arm] in (Fate.LEADER, Fate.TIED)]
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
        if is_kept and over.low >= -LOG_ZONE and over.high <= LOG_ZONE:
            return Fate.TIED
        if over.high < (0 if costs_more else -LOG_ZONE):
            return Fate.WORSE
        if is_kept:
            return Fate.WORSE if costs_more and over.high <= LOG_ZONE else Fate.OPEN
        return before

    def effects(self) -> list[float]:
        """Fit score = cell + block by least squares; return the cells' parts, NaN for one without a run.

        Blocks are drawn to 0, so weakly that common blocks say what they say. Cells without a chain of common
        blocks are then compared by their scores; else the number of cells and blocks in each chain would
        decide.
        """
        arms, blocks = np.nonzero(~np.isnan(self.scores))
        rows, every_block = np.arange(len(arms)), self.scores.shape[1]
        design = np.zeros((len(arms) + every_block, len(self.arms) + every_block))
        design[rows, arms] = design[rows, len(self.arms) + blocks] = 1
        design[len(arms) :, len(self.arms) :] = _DRAWN * np.eye(every_block)
        wanted = np.concatenate([self.scores[arms, blocks], np.zeros(every_block)])
        fitted = np.linalg.lstsq(design, wanted, rcond=None)[0]
        return [float(fitted[arm]) if self.blocks(arm) else math.nan for arm in self.all_arms]

    def over(self, other: int) -> list[Interval]:
        """Return the score of every cell less that of another, over the blocks that both have."""
        paired = self._paired(other)
        return paired.intervals(self._pooled(paired), self._confidence)

    def difference(self, arm: int, other: int) -> Interval:
        """Return the score of a cell less that of another.

        It is that over the blocks that both have. Where there is one at most, though each has several, it is
        that of all blocks of the one and all of the other, with the variance within cells.
        """
        over = self.over(other)[arm]
        if over.blocks > 1 or min(self.blocks(arm), self.blocks(other)) < 2:
            return over
        own = Samples.of(self.scores)
        freedom, variance = own.pooled()
        half = quantile(self._confidence, np.array([freedom]))[0] * math.sqrt(
            variance * (1 / self.blocks(arm) + 1 / self.blocks(other))
        )
        mean = float(own.mean[arm] - own.mean[other])
        return Interval(mean=mean, half=float(half), blocks=min(self.blocks(arm), self.blocks(other)))

    def _paired(self, other: int) -> Samples:
        differences = self.scores - self.scores[other]
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
        more, repeats = Samples.of(math.sqrt(2) * self.scores[[self.reference]]).pooled()
        return freedom + more, (freedom * variance + more * repeats) / max(1, freedom + more)

    def _excess_of(self, limit: int) -> list[Interval]:
        values = self._excess[limit]
        if limit in self.hard:
            return [Interval(mean=max(own), half=0.0, blocks=len(own)) if own else NOTHING for own in values]
        longest = max(map(len, values))
        samples = Samples.of(np.array([[*own, *[math.nan] * (longest - len(own))] for own in values]))
        freedom, variance = samples.pooled()
        if not freedom:  # no cell has two values: a latency differs from run to run as the score does
            freedom, variance = self._noise()
            variance /= 2
        return samples.intervals((freedom, variance), 1 - _ERROR / (len(values) * self.limits))

    def _noise(self) -> tuple[int, float]:
        """Return degrees of freedom and variance of a difference, as the cell that tells most of it says."""
        return max(self._pooled(self._paired(other)) for other in self.all_arms)

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
