"""Numbers for people: two decimals where they are enough, three digits where the number is small."""

_FACTOR_FROM = 0.5  # ±50 % of the logarithm is -33 % to +50 %: beyond, per cent mislead


def seconds(value: float) -> str:
    """Seconds without their unit.

    >>> seconds(18.4812), seconds(0.00127)
    ('18.48', '0.00127')
    """
    return f"{value:.2f}" if value >= 1 else f"{value:.3g}"


def milliseconds(value_s: float | None) -> str:
    """Seconds as milliseconds without their unit; empty for a figure that is not told.

    >>> milliseconds(0.1234), milliseconds(0.000023)
    ('123.4', '0.023')
    """
    if value_s is None:
        return ""
    return f"{value_s * 1e3:.1f}" if value_s >= 0.01 else f"{value_s * 1e3:.3g}"


def width(share: float, digits: int = 0) -> str:
    """Say how far a number may be off, relative to it; above a half as a factor.

    >>> width(0.184), width(0.05, digits=1), width(1.4)
    ('±18 %', '±5.0 %', 'a factor of 2.4')
    """
    return factor(share) or f"±{share * 100:.{digits}f} %"


def difference(share: float) -> str:
    """Say by how much two numbers differ, relative to the smaller one; above a half as a factor.

    >>> difference(0.1), difference(1.4)
    ('10.0 %', 'a factor of 2.4')
    """
    return factor(share) or f"{share * 100:.1f} %"


def factor(share: float) -> str:
    """Return one and a share as a factor; empty up to a half, where per cent are clearer."""
    if share <= _FACTOR_FROM:
        return ""
    return f"a factor of {1 + share:.1f}" if share < 9 else f"a factor of {1 + share:.3g}"
