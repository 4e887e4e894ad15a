"""Choose the best cell of a panel and the knee below it, and compare them; pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mps_experiments.analysis.comparison import output_refusal
from mps_experiments.analysis.estimates import Estimate, compare, pace
from mps_experiments.analysis.gains import Gain
from mps_experiments.analysis.metrics import BY_NAME
from mps_experiments.analysis.panels import ARMS, Panel
from mps_experiments.analysis.repeats import Group

KNEE = 0.9  # share of the best throughput from which fewer processes are as good for most purposes
AS_GOOD = 0.99  # share of the most throughput from which more processes do not pay
Arm = Mapping[int, Group]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The cells that matter of a panel.

    Attributes:
        best: That of the leaders with the most throughput.
        knee: The fewest processes, in the arm of `best`, that have at least `KNEE` of its throughput.
        over_one: Best over one process of its arm; None where best is that, or where it is not known.
        knee_over_one: The knee over one process, likewise.
        over_off: Best over the best cell without MPS; None unless best is under MPS.
        leaders: MPS state -> the best cell of its arm; see `_best_of`.
        arms: MPS state -> number of processes -> cell, of the cells that may be compared.
        slowed: MPS state -> what shows that something slowed its one-process run; its gains are not told.
    """

    best: Group
    knee: Group
    over_one: Gain | None
    knee_over_one: Gain | None
    over_off: Gain | None
    leaders: Mapping[str, Group] = field(default_factory=dict, repr=False)
    arms: Mapping[str, Arm] = field(default_factory=dict, repr=False)
    slowed: Mapping[str, str] = field(default_factory=dict)

    @property
    def arm(self) -> Arm:
        """Return the arm of the best cell."""
        return self.arms[self.best.first.cell.mps]

    @property
    def metrics(self) -> dict[str, float]:
        """Return the numbers of the choice under stable names; what is not known is left out."""
        gain, latencies = self.over_one, self.best.latencies
        low, high = gain.interval if gain and gain.interval else (None, None)
        found = {
            "best_throughput_per_s": self.best.throughput_median_per_s,
            "best_procs": float(self.best.procs),
            "knee_procs": float(self.knee.procs),
            "gain_best": gain.value if gain else None,
            "gain_best_low": low,
            "gain_best_high": high,
            "gain_over_off": self.over_off.value if self.over_off else None,
            "p50_at_best_ms": _ms(latencies.percentile_s(50)),
            "p99_at_best_ms": _ms(latencies.percentile_s(99)),
            "memory_at_best_gib": memory_gib(self.best),
            "joules_per_item_at_best": energy_per_item_j(self.best),
            "cost_per_million_at_best": cost_per_million(self.best),
            **self._time_ratios(),
        }
        return {name: value for name, value in found.items() if value is not None}

    def _time_ratios(self) -> dict[str, float]:
        return {
            f"ratio_{count}_{mps}": compare(group, arm[1], pace).value
            for mps, arm in self.arms.items()
            for count, group in arm.items()
            if count > 1 and 1 in arm and mps not in self.slowed
        }


def choose(panel: Panel) -> Choice | None:
    """Choose among the VALID cells of a panel with one stratum; None where there are fewer than two."""
    arms = {mps: _alike(panel, panel.arm(mps)) for mps in ARMS}
    every = [group for arm in arms.values() for group in arm.values()]
    if len(every) < 2:
        return None
    ones = {mps: arms[mps][1] for mps in ("on", "off") if 1 in arms[mps]}
    slowed = {mps: text for mps, one in ones.items() if (text := panel.ratio(one).slowed)}
    leaders = {mps: _best_of(arm, mps in slowed) for mps, arm in arms.items() if arm}
    best = most_of(leaders.values())
    mps = best.first.cell.mps
    knee = knee_of(arms[mps], best)
    one = None if mps in slowed else arms[mps].get(1)
    off = leaders.get("off") if mps == "on" else None
    return Choice(
        best=best,
        knee=knee,
        over_one=_over(best, one),
        knee_over_one=_over(knee, one),
        over_off=None if off is None or output_refusal(best, off) else Gain.between(best, off),
        leaders=leaders,
        arms=arms,
        slowed=slowed,
    )


def _alike(panel: Panel, arm: Arm) -> dict[int, Group]:
    """Leave out cells that may not be compared with one process since their outputs differ."""
    return {count: group for count, group in arm.items() if 1 not in arm or panel.ratio(group).gain}


def _over(group: Group, other: Group | None) -> Gain | None:
    return None if other is None or group is other else Gain.between(group, other)


def most_of(groups: Iterable[Group]) -> Group:
    """Return the group with the most throughput."""
    return max(groups, key=lambda group: group.throughput_median_per_s)


def _best_of(arm: Arm, is_slowed: bool) -> Group:
    """Return the fewest processes that do `AS_GOOD` of what any number does, but never fewer than one does.

    Where the gain of that cell over one process is below 1, it is one process: the medians of throughput may
    say otherwise, since blocks differ and each median may be of another one.

    Args:
        arm: The cells.
        is_slowed: Whether something slowed the one-process run, so that gains over it say nothing.
    """
    found, one = _fewest(arm, AS_GOOD * most_of(arm.values()).throughput_median_per_s), arm.get(1)
    if one is None or one is found or is_slowed or Gain.between(found, one).value >= 1:
        return found
    return one


def knee_of(arm: Arm, best: Group) -> Group:
    """Return the fewest processes that have at least `KNEE` of the throughput of the arm's best."""
    return _fewest(arm, KNEE * best.throughput_median_per_s)


def _fewest(arm: Arm, enough: float) -> Group:
    return next(group for group in arm.values() if group.throughput_median_per_s >= enough)


def is_open(gain: Estimate) -> bool:
    """Tell whether the interval leaves open which of the two is more."""
    return gain.interval is None or gain.interval[0] <= 1 <= gain.interval[1]


def memory_gib(group: Group) -> float | None:
    """Return the most device memory in use on the GPU in any run, not only by our processes."""
    mib = BY_NAME["gpu/memory_used_max_mib"].of(group)
    return None if mib is None else mib / 1024


def energy_per_item_j(group: Group) -> float | None:
    """Return the GPU's energy per item."""
    return BY_NAME["gpu/energy_per_item_j"].of(group)


def cost_per_million(group: Group) -> float | None:
    """Return the cost of a million items, in the currency of `cost.gpu_hour`."""
    return BY_NAME["cost/per_million_items"].of(group)


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1e3
