"""What is wanted of a cell: a goal to make as good as possible, and limits to keep; pure."""

import argparse
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

from mps_experiments.analysis.metrics import BY_NAME, Readings
from mps_experiments.analysis.moderated import Interval
from mps_experiments.analysis.numbers import short
from mps_experiments.analysis.repeats import Group
from mps_experiments.errors import ConfigError
from mps_experiments.record.latencies import ENOUGH
from mps_experiments.record.measurement import Measurement

_THROUGHPUT, _P50, _P99 = "throughput_per_s", "latency/p50_ms", "latency/p99_ms"
_ENERGY, _MEMORY = "gpu/energy_per_item_j", "gpu/memory_used_max_mib"
_J_PER_KWH = 3.6e6
_S_PER_HOUR = 3600.0


class Goal(Enum):
    """What the best cell has most or least of."""

    throughput = "most items per second"
    latency = "lowest median latency"
    energy = "least energy per item"
    cost = "lowest price per item"


@dataclass(frozen=True)
class Limit:
    """The most that a cell may have of something.

    Attributes:
        flag: How it is typed.
        metric: Its row in `analysis.metrics`.
        unit: Of the limit.
        scale: The metric's unit in that unit.
        is_hard: Whether no run may be above it.
        most: The limit.
    """

    flag: str
    metric: str
    unit: str
    what: str
    scale: float = 1.0
    is_hard: bool = False
    most: float = math.inf

    def value(self, run: Measurement) -> float | None:
        """Return the value of a run in the limit's unit; None where the run does not tell it."""
        readings = Readings(run)
        value = BY_NAME[self.metric].read(readings)
        if value is None and self.metric == _P99:
            value = self._bound_of_p99_ms(run)
        return None if value is None else value * self.scale

    def _bound_of_p99_ms(self, run: Measurement) -> float | None:
        """Return a bound of p99 that decides: the median if it is too much, or a latency that is not."""
        figures = run.statistics()
        if figures is None:
            return None
        bounds = figures.latencies.bound_s(99), figures.latency_p50_s
        above_ms, below_ms = (None if bound is None else 1e3 * bound for bound in bounds)
        if below_ms is not None and below_ms > self.most:
            return below_ms
        return above_ms if above_ms is not None and above_ms <= self.most else None

    def text(self, excess: Interval, runs: Sequence[Measurement]) -> str:
        """Write the value of a cell beside the limit, with its interval unless it has none or is beyond it.

        Args:
            excess: The logarithm of value over limit.
            runs: Those of the cell.
        """
        value, most = f"{self._shown(excess.mean)} {self.unit}", f"{self.most:.12g}"
        if excess.low <= 0 and excess.half:
            sure = f"[{self._shown(excess.low)} to {self._shown(excess.high)}]"
            few = f"in {excess.blocks} block{'s' if excess.blocks > 1 else ''}"
            value += f" {sure if math.isfinite(excess.half) else few}"
        told = [(run, found) for run in runs if (found := self.value(run)) is not None]
        bounds = [found for run, found in told if BY_NAME[self.metric].read(Readings(run)) is None]
        by_median = [found for found in bounds if found > self.most]
        if not bounds:
            return f"{self.what} {value} (limit {most})"
        if not by_median:
            return f"p99 at most {value} (limit {most})"
        if len(by_median) < len(told):
            return f"p99 at least {value} (limit {most})"
        return f"p50 {value} is above the limit of p99, {most} {self.unit}"

    def _shown(self, excess: float) -> str:
        return short(self.most * math.exp(excess))

    def unknown(self, runs: Sequence[Measurement]) -> str:
        """Say why runs of a cell do not tell the value."""
        if self.metric != _P99:
            return f"{self.what} not known: its runs do not tell it"
        most = max(figures.latencies.count for run in runs if (figures := run.statistics()))
        return f"p99 not known ({most:,} of {ENOUGH[99]:,} iterations in a run)"


LIMITS = (
    Limit("--p99-ms", _P99, "ms", "p99"),
    Limit("--p50-ms", _P50, "ms", "p50"),
    Limit("--memory-gib", _MEMORY, "GiB", "GPU memory", scale=2**-10, is_hard=True),
    Limit("--joules-per-item", _ENERGY, "J", "energy per item"),
)


@dataclass(frozen=True, kw_only=True)
class Aim:
    """A goal under limits.

    Attributes:
        gpu_hour: Price of an hour of the GPU; with the goal `cost` only.
        kwh: Price of a kilowatt hour, in the same money.
    """

    goal: Goal = Goal.throughput
    limits: tuple[Limit, ...] = ()
    gpu_hour: float = 0.0
    kwh: float = 0.0

    def refuse_without_gpu(self) -> None:
        """Refuse what only a GPU has figures for.

        Raises:
            ConfigError: If there is any.
        """
        what = "needs figures of a GPU, and these cells run on the CPU"
        if self.goal is Goal.energy or (self.goal is Goal.cost and self.kwh):
            raise ConfigError("--goal", self.goal.name, what)
        for limit in self.limits:
            if limit.metric.startswith("gpu/"):
                raise ConfigError(limit.flag, short(limit.most), what)

    def score(self, run: Measurement) -> float | None:
        """Return the logarithm of what is to be as large as possible; None if the run does not tell it."""
        readings = Readings(run)
        if self.goal is Goal.cost:
            value = self._price_of_item(readings)
        else:
            of_goal = {Goal.throughput: _THROUGHPUT, Goal.latency: _P50, Goal.energy: _ENERGY}
            value = BY_NAME[of_goal[self.goal]].read(readings)
        return math.log(value) * self.sign if value else None

    @property
    def sign(self) -> int:
        """Return 1 where more is better, otherwise -1."""
        return 1 if self.goal is Goal.throughput else -1

    def excess(self, run: Measurement) -> list[float | None]:
        """Return the logarithm of value over limit for each limit; None where the run does not tell it."""
        return [math.log(value / each.most) if (value := each.value(run)) else None for each in self.limits]

    def _price_of_item(self, readings: Readings) -> float | None:
        per_s = BY_NAME[_THROUGHPUT].read(readings)
        energy_j = BY_NAME[_ENERGY].read(readings) if self.kwh else 0.0
        if per_s is None or energy_j is None:
            return None
        return self.gpu_hour / _S_PER_HOUR / per_s + self.kwh * energy_j / _J_PER_KWH

    def figures(self, runs: Sequence[Measurement]) -> str:
        """Write the figures of a cell: throughput, latency, memory, energy and, with that goal, its price."""
        group = Group.of(runs)
        item = group.first.cell.item
        shown = {name: BY_NAME[name].shown(group) for name in (_THROUGHPUT, _P50, _P99, _ENERGY)}
        memory = BY_NAME[_MEMORY].of(group)
        parts = [
            f"{shown[_THROUGHPUT]} {item}s/s",
            f"p50 {shown[_P50]} ms",
            f"p99 {shown[_P99]} ms" if shown[_P99] else "p99 not known (it takes 1,000 iterations)",
            f"{short(memory / 1024)} GiB" if memory is not None else "",
            f"{shown[_ENERGY]} J per {item}" if shown[_ENERGY] else "",
        ]
        prices = [price for run in runs if (price := self._price_of_item(Readings(run))) is not None]
        if self.goal is Goal.cost and prices:
            what = "GPU hour and energy" if self.kwh else "GPU hour"
            parts.append(f"{short(1e6 * statistics.median(prices))} per million {item}s ({what})")
        return ", ".join(filter(None, parts))


def add_aim(parser: argparse.ArgumentParser) -> None:
    """Add the options of goal and limits."""
    goals = "; ".join(f"{goal.name}: {goal.value}" for goal in Goal)
    parser.add_argument("--goal", default=Goal.throughput.name, help=f"{goals}; default: throughput")
    for limit in LIMITS:
        parser.add_argument(limit.flag, metavar=limit.unit, help=f"limit of {limit.what}, in {limit.unit}")
    parser.add_argument("--gpu-hour", metavar="PRICE", help="with --goal cost: price of an hour of the GPU")
    parser.add_argument(
        "--kwh", metavar="PRICE", help="with --goal cost: price of a kilowatt hour; default: 0"
    )


def aim_of(args: argparse.Namespace) -> Aim:
    """Read goal and limits.

    Raises:
        ConfigError: If one is none, the price that a goal needs is lacking, or one has no effect.
    """
    if args.goal not in Goal.__members__:
        raise ConfigError("--goal", args.goal, f"must be one of {', '.join(Goal.__members__)}")
    goal = Goal[args.goal]
    if goal is Goal.cost and args.gpu_hour is None:
        raise ConfigError("--goal", goal.name, "needs --gpu-hour, the price of an hour of the GPU, as 2.5")
    prices = {"--gpu-hour": args.gpu_hour, "--kwh": args.kwh}
    for flag, text in prices.items():
        if goal is not Goal.cost and text is not None:
            raise ConfigError(flag, text, "has no effect without --goal cost")
    given = {limit: getattr(args, limit.flag.strip("-").replace("-", "_")) for limit in LIMITS}
    return Aim(
        goal=goal,
        limits=tuple(
            replace(limit, most=positive(limit.flag, text))
            for limit, text in given.items()
            if text is not None
        ),
        gpu_hour=0.0 if args.gpu_hour is None else positive("--gpu-hour", args.gpu_hour),
        kwh=0.0 if args.kwh is None else positive("--kwh", args.kwh, zero=True),
    )


def positive(flag: str, text: str, zero: bool = False) -> float:
    """Read a number above 0, or from 0 on.

    Raises:
        ConfigError: If it is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (0 < value < math.inf or (zero and value == 0)):
        raise ConfigError(flag, text, f"must be a number {'from 0 on' if zero else 'above 0'}, as 20 or 0.5")
    return value
