"""The commands, a line each; what one needs is imported when it runs.

A worker started with `spawn` imports this module through the console script, and needs nothing of it.
"""

import importlib
from typing import NoReturn

from mps_experiments.report.terminal import run_and_exit


def entry_point() -> NoReturn:
    """Run a sweep."""
    _run("program")


def doctor() -> NoReturn:
    """Check what a sweep needs."""
    _run("doctor.command")


def export() -> NoReturn:
    """Write stored runs as an experiment."""
    _run("export.command")


def recommend() -> NoReturn:
    """Find the cell to use."""
    _run("recommend.command")


def replay() -> NoReturn:
    """Run stored runs again and compare."""
    _run("replay.command")


def report() -> NoReturn:
    """Report stored runs."""
    _run("report_command")


def sync() -> NoReturn:
    """Log stored runs to MLflow."""
    _run("sync")


def _run(module: str) -> NoReturn:
    run_and_exit(lambda: int(importlib.import_module(f"mps_experiments.sweep.{module}").main()))
