"""One line of the table that compares stored runs with those of now."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table, as it is shown."""

    what: str
    stored: str
    now: str
    difference: str = ""
    spread: str = ""
