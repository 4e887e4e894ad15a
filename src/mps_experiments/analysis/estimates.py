"""Compare two cells, paired within blocks, and say how sure that is; pure.

With x and y the figures of the two cells in block b, each block gives ``log(x_b / y_b)``: what the runs of a
block share, the machine's state of that minute, falls out. From four blocks on Student's t of these
logarithms gives the interval. With fewer the interval is rough, and says so: as wide as what happened within
the runs, or as the blocks differ, whichever is more.
"""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from mps_experiments.analysis.repeats import Group, paired
from mps_experiments.record.statistics import Statistics
from mps_experiments.record.throughput import CONFIDENCE, LEAST_BINS

ENOUGH_BLOCKS = 4
_TOO_SHORT = (
    f"no interval: it needs {LEAST_BINS} iterations of each process in the common window or "
    f"{ENOUGH_BLOCKS} blocks"
)
_TOO_UNEVEN = f"no interval: a run changed too much for one; {ENOUGH_BLOCKS} blocks would give it"
_HELD = {2: 70, 3: 92}  # blocks -> percent of all cases in which the range of the blocks holds the truth
_DECIMALS = (2, 4)  # of a ratio, least and most
Logs = Sequence[float]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """One figure of a cell over that of another.

    Attributes:
        value: Geometric mean of the ratios within blocks; with one common block at most, though each cell
            has several runs, that of all runs over all runs.
        interval: 95 % from four blocks on, else rough; None where nothing is known of the spread.
        half_width: Of the interval, relative: its upper end over the value, less one.
        blocks: How many blocks hold a VALID run of both.
        rough: Whether there are fewer than four.
        why: How the interval came about.
    """

    value: float
    interval: tuple[float, float] | None
    half_width: float | None
    blocks: int
    rough: bool
    why: str

    @property
    def text(self) -> str:
        """Return the value and, in brackets, the interval."""
        return self._text(_DECIMALS[0])

    @property
    def precise_text(self) -> str:
        """Return the same with two digits of half the interval: the ends tell on which side of 1 they are."""
        low, high = self.interval or (0.0, 0.0)
        half = (high - low) / 2
        least, most = _DECIMALS
        exponent = int(f"{half:.1e}".partition("e")[2]) if half else 0
        return self._text(min(max(1 - exponent, least), most))

    def _text(self, decimals: int) -> str:
        between = ", ".join(f"{end:.{decimals}f}" for end in self.interval or ())
        return f"{self.value:.{decimals}f}" + (f" [{between}]" if between else "")


def interval_name(rough: bool) -> str:
    """Name an interval by what it is worth."""
    return "rough interval" if rough else "95 % interval"


def pace(figures: Statistics) -> float:
    """Return the seconds per iteration of the slowest worker."""
    return figures.pace_s


def throughput(figures: Statistics) -> float:
    """Return the items of all workers per second."""
    return figures.throughput_per_s


def compare(numerator: Group, denominator: Group, figure: Callable[[Statistics], float]) -> Estimate:
    """Divide a figure of one cell by that of another."""
    places = paired(numerator, denominator)
    if len(places) < 2 <= min(len(numerator), len(denominator)):
        common = "one common block" if places else "no common block"
        why = f"{common}: all runs of the one over all of the other (Welch's t)"
        return replace(welch(numerator, denominator, figure), blocks=len(places), rough=True, why=why)
    above = [numerator.figures[place] for place, _ in places] or numerator.figures
    below = [denominator.figures[place] for _, place in places] or denominator.figures
    logs, blocks = _block_logs(numerator, denominator, figure), len(places)
    middle = statistics.fmean(_logs(above, figure)) - statistics.fmean(_logs(below, figure))
    half, why = _half_width(logs, _within(above), _within(below))
    return Estimate(
        value=math.exp(middle),
        interval=None if half is None else (math.exp(middle - half), math.exp(middle + half)),
        half_width=None if half is None else math.expm1(half),
        blocks=blocks,
        rough=blocks < ENOUGH_BLOCKS,
        why=why,
    )


def welch(numerator: Group, denominator: Group, figure: Callable[[Statistics], float]) -> Estimate:
    """Divide all runs by all runs, two of each at least, whatever blocks they are of."""
    low, high = change_interval(_logs(numerator.figures, figure), _logs(denominator.figures, figure))
    value = math.sqrt(low * high)
    return Estimate(
        value=value, interval=(low, high), half_width=high / value - 1, blocks=0, rough=False, why="Welch's t"
    )


def _block_logs(numerator: Group, denominator: Group, figure: Callable[[Statistics], float]) -> list[float]:
    """Return the logarithm of the ratio of a figure in each block that holds a VALID run of both cells."""
    places = paired(numerator, denominator)
    return [math.log(figure(numerator.figures[a]) / figure(denominator.figures[b])) for a, b in places]


def change_interval(now: Logs, then: Logs) -> tuple[float, float]:
    """Return the 95 % interval of a change, from logarithms of what was measured now and then, apart.

    Welch's t: the two need not be equally many, nor equally spread. Each takes two values at least.
    """
    from scipy.special import stdtrit

    middle = statistics.fmean(now) - statistics.fmean(then)
    parts = [statistics.variance(logs) / len(logs) for logs in (now, then)]
    total = sum(parts)
    if not total:
        return math.exp(middle), math.exp(middle)
    freedom = total**2 / sum(part**2 / (len(logs) - 1) for part, logs in zip(parts, (now, then), strict=True))
    half = float(stdtrit(freedom, (1 + CONFIDENCE) / 2)) * math.sqrt(total)
    return math.exp(middle - half), math.exp(middle + half)


def t_half_width(logs: Logs) -> float:
    """Return half of the 95 % interval of the mean of independent values, at least two, by Student's t."""
    from scipy.special import stdtrit  # takes a while, which a sweep without repeats need not pay

    quantile = float(stdtrit(len(logs) - 1, (1 + CONFIDENCE) / 2))
    return quantile * statistics.stdev(logs) / math.sqrt(len(logs))


def log_half_width(figures: Statistics) -> float | None:
    """Return half of a run's own interval, of the logarithm of its throughput; None where it has none."""
    interval = figures.throughput_interval_per_s
    if interval is None:
        return None
    low, high = interval
    return math.inf if low <= 0 else math.log(high / low) / 2


def _half_width(logs: Logs, above: float | None, below: float | None) -> tuple[float | None, str]:
    """Return half of the interval of the logarithm, and how it came about."""
    blocks = len(logs)
    if blocks >= ENOUGH_BLOCKS:
        return t_half_width(logs), f"{blocks} blocks: Student's t of the ratios within each"
    within = math.inf if above is None or below is None else math.hypot(above, below)
    within /= math.sqrt(max(blocks, 1))  # of the mean of as many
    between = max(logs) - min(logs) if blocks > 1 else 0.0
    if blocks > 1 and (between > within or not math.isfinite(within)):
        held = f"which holds the truth in about {_HELD[blocks]} % of all cases"
        return between, f"{blocks} blocks: as wide as they differ, {held}"
    if not math.isfinite(within):
        return None, _TOO_SHORT if above is None or below is None else _TOO_UNEVEN
    if blocks > 1:
        return within, f"{blocks} blocks: of what happened within the runs, which is more than they differ by"
    count = "one block" if blocks else "no common block"
    return within, f"{count}: the interval covers what happened within the runs, not between them"


def _within(runs: Sequence[Statistics]) -> float | None:
    """Return the root mean square of the runs' own half widths; None if any has none."""
    known = [log_half_width(figures) for figures in runs]
    values = [half for half in known if half is not None]
    return math.sqrt(statistics.fmean(half**2 for half in values)) if len(values) == len(known) else None


def _logs(runs: Sequence[Statistics], figure: Callable[[Statistics], float]) -> list[float]:
    return [math.log(figure(each)) for each in runs]
