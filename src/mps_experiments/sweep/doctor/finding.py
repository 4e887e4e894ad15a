"""What a check found: OK, WARN or FAIL, and what to do; as lines for people, as JSON for programs."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from rich.console import Console
from rich.text import Text

from mps_experiments import __version__
from mps_experiments.errors import ConfigError, without_passwords

_LEVEL_WIDTH, _NAME_WIDTH = 6, 18


class Level(Enum):
    """How bad a finding is; the value is the exit code if nothing is worse."""

    OK = 0
    WARN = 1
    FAIL = 2


_STYLES = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "bold red"}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of the doctor.

    Attributes:
        name: What was looked at, at most 17 characters.
        level: FAIL: a sweep would be refused, or MPS does not work. WARN: it works, but not as one expects.
        todo: What to do; empty if the level is OK.
    """

    name: str
    level: Level
    found: str
    todo: str = ""


def ok(name: str, found: str) -> Finding:
    """Return a finding with nothing to do."""
    return Finding(name=name, level=Level.OK, found=found)


def warn(name: str, found: str, todo: str) -> Finding:
    """Return a finding of something that works, but less well than one expects."""
    return Finding(name=name, level=Level.WARN, found=found, todo=todo)


def fail(name: str, found: str, todo: str) -> Finding:
    """Return a finding of something that does not work."""
    return Finding(name=name, level=Level.FAIL, found=found, todo=todo)


def refused(name: str, error: ConfigError) -> Finding:
    """Return what a sweep would be refused with; its line ends in what would work."""
    found, _, todo = str(error).partition("; ")
    return fail(name, found, todo or "see `python -m mps_experiments --help`")


def worst(findings: Sequence[Finding]) -> Level:
    """Return the worst level of all; OK if there is none."""
    return max((finding.level for finding in findings), key=lambda level: level.value, default=Level.OK)


def show(console: Console, finding: Finding) -> None:
    """Print a finding as one line, and what to do below it."""
    lines = [_one_line(finding.found), *([f"-> {_one_line(finding.todo)}"] if finding.todo else [])]
    margin = " " * (_LEVEL_WIDTH + _NAME_WIDTH)
    level = (finding.level.name.ljust(_LEVEL_WIDTH), _STYLES[finding.level])
    console.print(Text.assemble(level, finding.name.ljust(_NAME_WIDTH), f"\n{margin}".join(lines)))


def closing_line(findings: Sequence[Finding]) -> str:
    """Count the findings of each level, and tell the exit code."""
    counts = ", ".join(f"{sum(f.level is each for f in findings)} {each.name}" for each in Level)
    return f"{counts}; exit code {worst(findings).value}"


def to_json(findings: Sequence[Finding]) -> str:
    """Return ``{"version", "worst", "exit_code", "findings": [{"name", "level", "found", "todo"}]}``."""
    level = worst(findings)
    rows = [dataclasses.asdict(each) | {"level": each.level.name} for each in findings]
    content = {"version": __version__, "worst": level.name, "exit_code": level.value, "findings": rows}
    return json.dumps(content, indent=2) + "\n"


def _one_line(text: str) -> str:
    """Remove line ends, control characters and passwords: other programs and users wrote parts of it."""
    line = " ".join(without_passwords(text).split())
    return "".join(each if each.isprintable() else "?" for each in line)
