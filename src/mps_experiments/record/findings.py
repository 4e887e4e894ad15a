"""Findings of the checks: a reason to refuse a run's numbers, or a warning to read with them."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """Effect of a finding on the verdict."""

    INVALID = "invalid"
    WARNING = "warning"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One finding.

    Attributes:
        check: Name of the check, for example ``throttling``.
        text: The finding in words, with its figures.
        value: The figure that was checked; None where there is none.
        limit: The most (or least) that figure may be; None where there is none.
    """

    check: str
    severity: Severity
    text: str
    value: float | None = None
    limit: float | None = None


def too_much(
    check: str, value: float, text: str, *, warn: float | None = None, invalid: float | None = None
) -> Finding | None:
    """Return a finding if the value is above a limit; INVALID comes before WARNING."""
    if invalid is not None and value > invalid:
        return Finding(check=check, severity=Severity.INVALID, text=text, value=value, limit=invalid)
    if warn is not None and value > warn:
        return Finding(check=check, severity=Severity.WARNING, text=text, value=value, limit=warn)
    return None


def too_little(check: str, value: float, text: str, *, warn: float) -> Finding | None:
    """Return a warning if the value is below a limit."""
    if value >= warn:
        return None
    return Finding(check=check, severity=Severity.WARNING, text=text, value=value, limit=warn)


NOISE = frozenset(
    {"start_skew", "unequal_workers", "drift", "outliers", "foreign_cpu", "core_wait", "shared_cores"}
)
