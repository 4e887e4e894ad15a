"""Find how many replicas are worth it: throughput over the number of processes; pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from mps_experiments.analysis.estimates import Estimate
from mps_experiments.analysis.gains import Gain
from mps_experiments.analysis.repeats import Group

PAYS = 1.05  # how many times the throughput of fewer replicas more must have, to be worth it


@dataclass(frozen=True, kw_only=True)
class Packing:
    """The limit of packing in one arm, as far as the intervals tell.

    Attributes:
        fewest: The smallest number of replicas that was measured.
        limit: The fewest that pay over `fewest` and over which no larger number pays.
        beyond: The gain of each larger number over `limit`, in ascending order; none of them is known to pay.
        steps: The gain of each step up to `limit`.
    """

    fewest: Group
    limit: Group
    beyond: tuple[Gain, ...]
    steps: tuple[Gain, ...]

    @property
    def open_beyond(self) -> Gain | None:
        """Return the largest gain over `limit` that is not ruled out; None if all are."""
        return max((gain for gain in self.beyond if is_open(gain)), key=lambda gain: gain.value, default=None)


def packing(arm: Mapping[int, Group]) -> Packing | None:
    """Find how far packing pays in an arm; None unless it has two numbers of processes or more."""
    chain = [arm[count] for count in sorted(arm)]
    if len(chain) < 2:
        return None
    place = next(
        n
        for n, group in enumerate(chain)
        if (n == 0 or pays(Gain.between(group, chain[0]))) and not _is_beaten(group, chain[n + 1 :])
    )
    return Packing(
        fewest=chain[0],
        limit=chain[place],
        beyond=tuple(Gain.between(larger, chain[place]) for larger in chain[place + 1 :]),
        steps=tuple(Gain.between(larger, fewer) for fewer, larger in pairwise(chain[: place + 1])),
    )


def pays(gain: Estimate) -> bool:
    """Tell whether a gain is worth it, with an interval that does not reach down to none."""
    return gain.value >= PAYS and gain.interval is not None and gain.interval[0] > 1


def is_open(gain: Estimate) -> bool:
    """Tell whether the interval allows both that a gain is worth it and that it is not."""
    return not pays(gain) and (gain.interval is None or gain.interval[1] >= PAYS)


def _is_beaten(group: Group, larger: list[Group]) -> bool:
    return any(pays(Gain.between(each, group)) for each in larger)
