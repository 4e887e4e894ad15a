"""Write numbers for people: two decimals where they are enough, three digits where the number is small."""

import time
from decimal import Decimal

_FACTOR_FROM = 0.5  # ±50 % of the logarithm is -33 % to +50 %: beyond, per cent mislead


def seconds(value: float) -> str:
    """Write seconds without their unit.

    >>> seconds(18.4812), seconds(0.00127)
    ('18.48', '0.00127')
    """
    return f"{value:.2f}" if value >= 1 else short(value)


def milliseconds(value_s: float | None) -> str:
    """Write seconds as milliseconds without their unit; empty for a figure that is not told.

    >>> milliseconds(0.1234), milliseconds(0.000023)
    ('123.4', '0.023')
    """
    if value_s is None:
        return ""
    return f"{value_s * 1e3:.1f}" if value_s >= 0.01 else short(value_s * 1e3)


def rate(value: float) -> str:
    """Write a throughput without its unit.

    >>> rate(2331.6), rate(999.96), rate(74.45), rate(0.012345)
    ('2,332', '1,000', '74.5', '0.0123')
    """
    if value >= 999.95:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 1 else short(value)


def short(value: float) -> str:
    """Write three digits, or all of a larger number; never an exponent.

    >>> short(0.012345), short(999.7), short(1560.4), short(-2000.0)
    ('0.0123', '1000', '1560', '-2000')
    """
    return f"{Decimal(f'{value:.3g}'):f}" if abs(value) < 1000 else f"{value:.0f}"


def three_digits(value: float) -> str:
    """Write three digits, zeros included, or all of a larger number: for numbers that stand side by side.

    >>> three_digits(4.6), three_digits(10.04), three_digits(9.999), three_digits(0.012), three_digits(1560.4)
    ('4.60', '10.0', '10.0', '0.0120', '1560')
    """
    return f"{Decimal(f'{value:#.3g}'):f}" if abs(value) < 1000 else f"{value:.0f}"


def width(share: float, digits: int = 0) -> str:
    """Say how far a number may be off, relative to it; above a half as a factor.

    >>> width(0.184), width(0.05, digits=1), width(1.4)
    ('±18 %', '±5.0 %', 'a factor of 2.4')
    """
    return _factor(share) or f"±{per_cent(share, digits)}"


def per_cent(share: float, digits: int = 0) -> str:
    """Write a share as per cent.

    >>> per_cent(0.41), per_cent(0.025, digits=1)
    ('41 %', '2.5 %')
    """
    return f"{share:.{digits}%}".replace("%", " %")


def difference(share: float) -> str:
    """Say by how much two numbers differ, relative to the smaller one; above a half as a factor.

    >>> difference(0.1), difference(1.4), difference(9.25)
    ('10.0 %', 'a factor of 2.4', 'a factor of 10.2')
    """
    return _factor(share) or per_cent(share, digits=1)


def day(at_s: float) -> str:
    """Write the local date of a time since the epoch, as 2026-11-29."""
    return time.strftime("%Y-%m-%d", time.localtime(at_s))


def moment(at_s: float) -> str:
    """Write the local date and time of a time since the epoch, to the second."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at_s))


def _factor(share: float) -> str:
    if share <= _FACTOR_FROM:
        return ""
    return f"a factor of {1 + share:.1f}" if share < 9 else f"a factor of {short(1 + share)}"
