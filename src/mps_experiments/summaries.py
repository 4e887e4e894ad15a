"""What the sweep.json of finished sweeps says; damaged ones say nothing."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mps_experiments.errors import RecordError
from mps_experiments.record import FILE_NAME, read_measurement

NAME = "sweep.json"
_ANY = "sweep*.json"  # a folder that was used again holds several


def summaries_below(folder: Path) -> Iterator[dict[str, Any]]:
    """What each sweep.json at or below a folder says."""
    for path in sorted(folder.rglob(_ANY)):
        if "mlartifacts" not in path.relative_to(folder).parts and (summary := read_summary(path)):
            yield summary


def summaries_in(folder: Path) -> Iterator[dict[str, Any]]:
    """What each sweep.json in a folder says."""
    for path in sorted(folder.glob(_ANY)):
        if summary := read_summary(path):
            yield summary


def read_summary(path: Path) -> dict[str, Any]:
    """A sweep.json; empty if it is none."""
    try:
        summary = json.loads(path.read_bytes()) if path.is_file() else None
    except (OSError, ValueError):
        return {}
    if not isinstance(summary, dict) or not isinstance(summary.get("cells"), list):
        return {}
    return {**summary, "cells": [cell for cell in summary["cells"] if _is_cell(cell)]}


def precision_of(*summaries: dict[str, Any]) -> float:
    """Return the precision that all these sweeps added blocks for; 0 for none, or if they differ."""
    told = [summary.get("precision") for summary in summaries]
    values = {float(each) if isinstance(each, int | float) else 0.0 for each in told}
    return values.pop() if len(values) == 1 else 0.0


def _is_cell(cell: object) -> bool:
    """Whether an entry is as the ledger writes it: all texts, and with a record if it was taken over."""
    if not isinstance(cell, dict):
        return False
    needed = ("name", "record_id", "resumed_from") if "resumed_from" in cell else ()
    return all(isinstance(cell.get(name), str) for name in needed)


def cut_off(word: str) -> str:
    """What to know of a sweep's folder whose sweep did not end by itself; empty for anything else."""
    summary = read_summary(Path(word) / NAME)
    if summary.get("status") not in ("KILLED", "RUNNING"):
        return ""
    return (
        f"{word}: the sweep was cut off; only cells that were begun are here, its whole command is in {NAME}"
    )


def resumed_ids(summary: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Name of each run that was taken over -> its record id and its folder then."""
    return {
        cell["name"]: (cell["record_id"], cell["resumed_from"])
        for cell in summary["cells"]
        if "resumed_from" in cell
    }


def started_at(sweep: Path) -> float:
    """When the first run that a sweep did itself was started, in seconds since the epoch."""
    for cell in read_summary(sweep / NAME).get("cells", []):
        if "resumed_from" in cell or not isinstance(cell.get("folder"), str):
            continue
        try:
            return read_measurement(sweep / cell["folder"] / FILE_NAME).started_at
        except RecordError:
            continue
    return (sweep / NAME).stat().st_mtime
