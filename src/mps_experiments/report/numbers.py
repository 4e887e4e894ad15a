"""Numbers for people: two decimals where they are enough, three digits where the number is small."""


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
