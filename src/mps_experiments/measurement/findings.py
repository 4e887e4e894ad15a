"""What a check found about one run: a reason to refuse its numbers, or a warning to read with them."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """What a finding does to the verdict."""

    INVALID = "invalid"
    WARNING = "warning"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One finding.

    Attributes:
        check: Name of the check, for example ``throttling``.
        severity: Whether it makes the run INVALID.
        text: For people, with the figures.
        value: The figure that was checked; None where there is none.
        limit: What it may be at most (or at least); None where there is none.
    """

    check: str
    severity: Severity
    text: str
    value: float | None = None
    limit: float | None = None


def too_much(
    check: str, value: float, text: str, *, warn: float | None = None, invalid: float | None = None
) -> Finding | None:
    """A finding if the value is above a limit; the graver one counts."""
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
