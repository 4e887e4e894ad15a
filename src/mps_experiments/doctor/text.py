"""How findings are shown: aligned lines for people, JSON for programs."""

import dataclasses
import json
import textwrap
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from mps_experiments import __version__
from mps_experiments.doctor.finding import Finding, Level, worst
from mps_experiments.errors import without_passwords

_STYLES = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "bold red"}
_LEVEL_WIDTH, _NAME_WIDTH = 6, 18
_NARROW = 60  # columns; on a narrower terminal lines are left to it


def to_console() -> Console:
    """Standard output; colour on a terminal only."""
    return Console(soft_wrap=True, highlight=False, markup=False, emoji=False)


def show(console: Console, finding: Finding) -> None:
    """A finding as one line, and what to do below it; wrapped on a terminal."""
    width = console.width - _LEVEL_WIDTH - _NAME_WIDTH if console.is_terminal else 0
    lines = [*_wrapped(finding.found, width)]
    if finding.todo:
        first, *others = _wrapped(finding.todo, width - 3)
        lines += [f"-> {first}", *(f"   {line}" for line in others)]
    margin = " " * (_LEVEL_WIDTH + _NAME_WIDTH)
    level = (finding.level.name.ljust(_LEVEL_WIDTH), _STYLES[finding.level])
    console.print(Text.assemble(level, finding.name.ljust(_NAME_WIDTH), f"\n{margin}".join(lines)))


def _wrapped(text: str, width: int) -> list[str]:
    line = one_line(text)
    return (textwrap.wrap(line, width, break_on_hyphens=False) if width >= _NARROW else []) or [line]


def closing_line(findings: Sequence[Finding]) -> str:
    """How many of each, and the exit code."""
    level = worst(findings)
    counts = ", ".join(f"{sum(f.level is each for f in findings)} {each.name}" for each in Level)
    return f"{counts}; exit code {level.value}"


def to_json(findings: Sequence[Finding]) -> str:
    """``{"version", "worst", "exit_code", "findings": [{"name", "level", "found", "todo"}]}``."""
    level = worst(findings)
    rows = [
        {key: one_line(value) for key, value in dataclasses.asdict(each).items() if key != "level"}
        | {"level": each.level.name}
        for each in findings
    ]
    content = {"version": __version__, "worst": level.name, "exit_code": level.value, "findings": rows}
    return json.dumps(content, indent=2) + "\n"


def one_line(text: str) -> str:
    """Without line ends, control characters and passwords: other programs and users wrote parts of it."""
    line = " ".join(without_passwords(text).split())
    return "".join(each if each.isprintable() else "?" for each in line)
