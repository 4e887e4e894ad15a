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
