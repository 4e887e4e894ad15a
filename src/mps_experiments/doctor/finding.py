"""What a check found: OK, WARN or FAIL, and what to do about it."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


class Level(Enum):
    """How bad a finding is; the value is the exit code if nothing is worse."""

    OK = 0
    WARN = 1
    FAIL = 2


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of the doctor.

    Attributes:
        name: What was looked at, at most 17 characters.
        level: FAIL: the program, or MPS in it, does not work like this. WARN: it works, but not as one
            expects.
        found: What is there.
        todo: What to do; empty only if the level is OK.

    Raises:
        ValueError: If a WARN or FAIL does not say what to do.
    """

    name: str
    level: Level
    found: str
    todo: str = ""

    def __post_init__(self) -> None:
        if self.level is not Level.OK and not self.todo:
            raise ValueError(f"{self.name}: {self.level.name} without a word on what to do")


def ok(name: str, found: str) -> Finding:
    """Nothing to do."""
    return Finding(name=name, level=Level.OK, found=found)


def warn(name: str, found: str, todo: str) -> Finding:
    """It works, but less than one expects."""
    return Finding(name=name, level=Level.WARN, found=found, todo=todo)


def fail(name: str, found: str, todo: str) -> Finding:
    """It does not work."""
    return Finding(name=name, level=Level.FAIL, found=found, todo=todo)


def worst(findings: Iterable[Finding]) -> Level:
    """The worst level of all; OK if there is none."""
    return max((finding.level for finding in findings), key=lambda level: level.value, default=Level.OK)
