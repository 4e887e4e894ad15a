"""How many replicas are worth it: throughput over the number of processes; pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from mps_experiments.report.repeats import Group, ratio_interval

PAYS = 1.05  # how many times the throughput of fewer replicas more must have, to be worth it
Step = tuple[Group, Group]


@dataclass(frozen=True, kw_only=True)
class Packing:
    """How far packing pays in one arm.

    Attributes:
        fewest: The smallest number of replicas that was measured.
        limit: The fewest from which no larger number has `PAYS` times the throughput or more.
        beyond: The next larger number; None if `limit` is the largest that was measured.
        flat: The steps up to `limit` that alone gain less than `PAYS`.
        unsure: The other steps up to `limit` whose gain may be none, by the spread of the repeats.
        may_pay_beyond: Whether, by that spread, `beyond` may yet have `PAYS` times the throughput.
    """

    fewest: Group
    limit: Group
    beyond: Group | None
    flat: tuple[Step, ...]
    unsure: tuple[Step, ...]
    may_pay_beyond: bool


def packing(arm: Mapping[int, Group]) -> Packing | None:
    """How far packing pays in an arm; None unless it has two numbers of processes or more."""
    chain = [arm[count] for count in sorted(arm)]
    if len(chain) < 2:
        return None
    place = next(n for n, group in enumerate(chain) if not _is_beaten(group, chain[n + 1 :]))
    steps = list(pairwise(chain[: place + 1]))
    paying = [step for step in steps if gain(*step) >= PAYS]
    beyond = chain[place + 1] if place + 1 < len(chain) else None
    return Packing(
        fewest=chain[0],
        limit=chain[place],
        beyond=beyond,
        flat=tuple(step for step in steps if step not in paying),
        unsure=tuple(step for step in paying if (known := _interval(*step)) and known[0] <= 1.0),
        may_pay_beyond=bool(beyond and (known := _interval(chain[place], beyond)) and known[1] >= PAYS),
    )


def gain(fewer: Group, more: Group) -> float:
    """Throughput of `more` over that of `fewer`, medians of the repeats."""
    return more.throughput_median_per_s / fewer.throughput_median_per_s


def _is_beaten(group: Group, larger: list[Group]) -> bool:
    return any(gain(group, each) >= PAYS for each in larger)


def _interval(fewer: Group, more: Group) -> tuple[float, float] | None:
    """95 % interval of the gain; None if it is not known."""
    if min(len(fewer), len(more)) < 2:
        return None
    return ratio_interval(more.throughputs_per_s, fewer.throughputs_per_s)
