"""One line of the comparison, and whether repeats explain its difference; pure."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mps_experiments.report.estimates import change_interval

_WIDE = 1.1  # from a quotient of interval and change of this on, a change within the interval tells nothing


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table, as it is shown."""

    what: str
    stored: str
    now: str
    difference: str = ""
    spread: str = ""


def spread(stored: Sequence[float], now: Sequence[float], shown: Callable[[float], str]) -> str:
    """Say whether the repeats explain the difference.

    They do if the 95 % interval of the change (see `change_interval`) holds 1. Where one side has a single
    repeat there is no interval: then it is said whether that one lies in the other's range.

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
    return judged(*([math.log(value) for value in values] for values in (now, stored)))


def _in_range(value: float, others: Sequence[float], shown: Callable[[float], str]) -> str:
    low, high = min(others), max(others)
    where = "within" if low <= value <= high else "outside"
    return f"{where} the {shown(low)} to {shown(high)} of the {len(others)}"


def judged(now: Sequence[float], stored: Sequence[float]) -> str:
    """Say whether the spread explains a change, from logarithms; a wide spread explains any."""
    low, high = change_interval(now, stored)
    middle = math.sqrt(low * high)  # of the means; what is shown beside it is of medians
    between = f"{percent(low)} to {percent(high)}"
    if not low <= 1 <= high:
        return f"beyond the spread (95 % interval {between})"
    if high > _WIDE * middle:
        return f"cannot tell: it may be {between}; add --repeats N"
    return f"within the spread (95 % interval {between})"


def percent(ratio: float) -> str:
    """The change that a ratio is."""
    return f"{(ratio - 1) * 100:+.1f} %"
