"""Which database schemas the installed MLflow knows: read from its migration scripts, which are not run."""

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path

_LINK = re.compile(r"^(down_)?revision\s*(?::[^=]*)?=\s*(.*)$", re.MULTILINE)
_ID = re.compile(r"[\"'](\w+)[\"']")


@dataclass(frozen=True, kw_only=True)
class Revisions:
    """The schemas by their names.

    Attributes:
        newest: What the installed MLflow writes.
        all: That and all before it.
    """

    newest: str
    all: frozenset[str]


def mlflow_revisions() -> Revisions | None:
    """Those of the installed MLflow; None where they cannot be told."""
    spec = importlib.util.find_spec("mlflow")
    if spec is None or spec.origin is None:
        return None
    return read_revisions(Path(spec.origin).parent / "store" / "db_migrations" / "versions")


def read_revisions(folder: Path) -> Revisions | None:
    """Read the scripts in a folder; None if they do not end in one newest."""
    known: set[str] = set()
    followed: set[str] = set()
    for path in folder.glob("*.py"):
        for is_down, value in _LINK.findall(path.read_text(errors="replace")):
            (followed if is_down else known).update(_ID.findall(value))
    newest = known - followed
    return Revisions(newest=newest.pop(), all=frozenset(known)) if len(newest) == 1 else None
