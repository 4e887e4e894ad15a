"""One line of the comparison, and whether repeats explain its difference; pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mps_experiments.report.repeats import ratio_interval


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table, as it is shown."""

    what: str
    stored: str
    now: str
    difference: str = ""
    spread: str = ""


def spread(stored: Sequence[float], now: Sequence[float], shown: Callable[[float], str]) -> str:
    """Whether the repeats explain the difference.

    They do if the 95 % interval of ``median(now) / median(stored)`` (see `ratio_interval`) holds 1. Where one
    side has a single repeat there is no interval: then it is said whether that one lies in the other's range.

    Args:
        stored: Values of the stored repeats.
        now: Those of now.
        shown: How a value is written.
    """
    if len(stored) < 2 and len(now) < 2:
        return "one repeat each: spread unknown; add --repeats N"
    if len(now) < 2:
        return f"one repeat now, {_in_range(now[0], stored, shown)} stored; add --repeats N"
    if len(stored) < 2:
        return f"one repeat stored, {_in_range(stored[0], now, shown)} now"
    return judged(ratio_interval(now, stored))


def _in_range(value: float, others: Sequence[float], shown: Callable[[float], str]) -> str:
    low, high = min(others), max(others)
    where = "within" if low <= value <= high else "outside"
    return f"{where} the {shown(low)} to {shown(high)} of the {len(others)}"


def judged(interval: tuple[float, float]) -> str:
    low, high = interval
    where = "within" if low <= 1 <= high else "beyond"
    return f"{where} the spread (95 % interval {percent(low)} to {percent(high)})"


def percent(ratio: float) -> str:
    """The change that a ratio is."""
    return f"{(ratio - 1) * 100:+.1f} %"
