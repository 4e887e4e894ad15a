"""The commands, a line each; what one needs is imported when it runs.

A worker started with `spawn` imports this module through the console script, and needs nothing of it.
"""

import importlib
import sys
from typing import NoReturn

from mps_experiments.report.command_line import run_and_exit
from mps_experiments.report.terminal import status

# With these the program only shows something: nothing else may stand in its output.
_SHOWING = {"-h", "--help", "--hydra-help", "-c", "--cfg", "-i", "--info", "-sc", "--shell-completion"}


def entry_point() -> NoReturn:
    """Run a sweep."""
    only_shows = bool(_SHOWING & {word.partition("=")[0] for word in sys.argv[1:]})
    _run("program", "" if only_shows else "composing the cells of the command line")


def compare() -> NoReturn:
    """Compare two stored sweeps."""
    _run("compare")


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


def _run(module: str, doing: str = "") -> NoReturn:
    def main() -> int:
        if doing:
            status(doing)  # at once: what follows takes seconds
        return int(importlib.import_module(f"mps_experiments.sweep.{module}").main())

    run_and_exit(main)
