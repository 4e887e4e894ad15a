"""What is wanted of a cell: a goal to make as good as possible, and limits to keep; pure."""

import argparse
import math
from dataclasses import dataclass
from enum import Enum

from mps_experiments.analysis.metrics import BY_NAME, Readings
from mps_experiments.analysis.numbers import short
from mps_experiments.analysis.repeats import Group
from mps_experiments.errors import ConfigError
from mps_experiments.record.measurement import Measurement

_P50, _P99 = "latency/p50_ms", "latency/p99_ms"
_ENERGY, _MEMORY = "gpu/energy_per_item_j", "gpu/memory_used_max_mib"
_J_PER_KWH = 3.6e6
_S_PER_HOUR = 3600.0


class Goal(Enum):
    """What the best cell has most or least of."""

    throughput = "the most items per second"
    latency = "the lowest median latency of an iteration"
    energy = "the least energy per item"
    cost = "the lowest cost per item: the GPU's hours and the energy"


@dataclass(frozen=True)
class Limit:
    """The most that a cell may have of something.

    Attributes:
        flag: How it is typed.
        metric: Its row in `analysis.metrics`.
        unit: Of the limit.
        scale: The metric's unit in that unit.
    """

    flag: str
    metric: str
    unit: str
    most: float
    scale: float = 1.0

    @property
    def needs_gpu(self) -> bool:
        return self.metric.startswith("gpu/")

    def value(self, run: Measurement) -> float | None:
        """Return the value of a run, in the limit's unit; None where the run does not tell it."""
        readings = Readings(run)
        value = BY_NAME[self.metric].read(readings)
        if value is None and self.metric == _P99:  # the median is no more than p99: beyond the limit it tells
            median = BY_NAME[_P50].read(readings)
            value = median if median is not None and median > self.most else None
        return None if value is None else value * self.scale

    def text(self, value: float) -> str:
        """Write a value of it."""
        return f"{BY_NAME[self.metric].title} {short(value)} {self.unit}"


# Flag, metric, unit, scale, help.
LIMITS = (
    ("--p99-ms", _P99, "ms", 1.0, "the most that 99 %% of the iterations may take, in ms"),
    ("--p50-ms", _P50, "ms", 1.0, "the largest median latency of an iteration, in ms"),
    ("--memory-gib", _MEMORY, "GiB", 2**-10, "the most GPU memory in use, in GiB"),
    ("--joules-per-item", _ENERGY, "J", 1.0, "the most energy per item, in J"),
)


@dataclass(frozen=True, kw_only=True)
class Aim:
    """A goal under limits.

    Attributes:
        gpu_hour: Price of an hour of the GPU.
        kwh: Price of a kilowatt hour, in the same money.
    """

    goal: Goal = Goal.throughput
    limits: tuple[Limit, ...] = ()
    gpu_hour: float = 1.0
    kwh: float = 0.0

    @property
    def needs_gpu(self) -> str:
        """Return the flag and value that only a GPU has figures for; empty if there is none."""
        if self.goal is Goal.energy or (self.goal is Goal.cost and self.kwh):
            return f"--goal={self.goal.name}"
        return next((f"{limit.flag}={short(limit.most)}" for limit in self.limits if limit.needs_gpu), "")

    @property
    def limits_p99(self) -> bool:
        return any(limit.metric == _P99 for limit in self.limits)

    def score(self, run: Measurement) -> float | None:
        """Return the logarithm of what is to be as large as possible; None if the run does not tell it."""
        readings = Readings(run)
        if self.goal is Goal.throughput:
            value = BY_NAME["throughput_per_s"].read(readings)
        elif self.goal is Goal.latency:
            value = _inverse(BY_NAME[_P50].read(readings))
        elif self.goal is Goal.energy:
            value = _inverse(BY_NAME[_ENERGY].read(readings))
        else:
            value = _inverse(self._cost_of_item(readings))
        return math.log(value) if value else None

    def excess(self, run: Measurement) -> list[float | None]:
        """Return the logarithm of value over limit for each limit; None where the run does not tell it."""
        values = [limit.value(run) for limit in self.limits]
        return [
            math.log(value / limit.most) if value else None
            for value, limit in zip(values, self.limits, strict=True)
        ]

    def _cost_of_item(self, readings: Readings) -> float | None:
        per_s = BY_NAME["throughput_per_s"].read(readings)
        energy_j = BY_NAME[_ENERGY].read(readings) if self.kwh else 0.0
        if per_s is None or energy_j is None:
            return None
        return self.gpu_hour / _S_PER_HOUR / per_s + self.kwh * energy_j / _J_PER_KWH

    def figures(self, runs: list[Measurement]) -> str:
        """Write the figures of a cell: throughput, latency, memory, energy and, with that goal, cost."""
        group = Group.of(runs)
        item = group.first.cell.item
        p99 = BY_NAME[_P99].of(group)
        parts = [
            f"{BY_NAME['throughput_per_s'].shown(group)} {item}s/s",
            f"p50 {BY_NAME[_P50].shown(group)} ms",
            "p99 not known (needs 1,000 iterations)"
            if p99 is None
            else f"p99 {BY_NAME[_P99].shown(group)} ms",
        ]
        if (memory := BY_NAME[_MEMORY].of(group)) is not None:
            parts.append(f"{short(memory / 1024)} GiB")
        if (energy := BY_NAME[_ENERGY].of(group)) is not None:
            parts.append(f"{short(energy)} J per {item}")
        if self.goal is Goal.cost:
            costs = [cost for run in runs if (cost := self._cost_of_item(Readings(run))) is not None]
            parts.append(f"{short(1e6 * sum(costs) / len(costs))} per million {item}s")
        return ", ".join(parts)


def _inverse(value: float | None) -> float | None:
    return 1 / value if value else None


def add_aim(parser: argparse.ArgumentParser) -> None:
    """Add the options of goal and limits."""
    goals = "; ".join(f"{goal.name}: {goal.value}" for goal in Goal)
    parser.add_argument("--goal", default=Goal.throughput.name, help=f"{goals}; default: throughput")
    for flag, _, _, _, text in LIMITS:
        parser.add_argument(flag, help=text)
    parser.add_argument("--gpu-hour", default="1", help="with --goal cost: price of an hour of the GPU")
    parser.add_argument("--kwh", default="0", help="with --goal cost: price of a kilowatt hour")


def aim_of(args: argparse.Namespace) -> Aim:
    """Read goal and limits.

    Raises:
        ConfigError: If one is none.
    """
    if args.goal not in Goal.__members__:
        raise ConfigError("--goal", args.goal, f"must be one of {', '.join(Goal.__members__)}")
    limits = []
    for flag, metric, unit, scale, _ in LIMITS:
        given = getattr(args, flag.lstrip("-").replace("-", "_"))
        if given is not None:
            limits.append(Limit(flag, metric, unit, positive(flag, given), scale))
    return Aim(
        goal=Goal[args.goal],
        limits=tuple(limits),
        gpu_hour=positive("--gpu-hour", args.gpu_hour),
        kwh=positive("--kwh", args.kwh, zero=True),
    )


def positive(flag: str, text: str, zero: bool = False) -> float:
    """Read a number above 0.

    Args:
        flag: What it was given for.
        text: As it was typed.
        zero: Whether 0 will do.

    Raises:
        ConfigError: If it is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (value > 0 or (zero and value == 0)) or math.isinf(value):
        raise ConfigError(flag, text, f"must be a number {'from 0 on' if zero else 'above 0'}, as 20 or 0.5")
    return value
