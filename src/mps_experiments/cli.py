"""The commands, a line each; what one needs is imported when it runs.

A worker started with `spawn` imports this module through the console script, and needs nothing of it. And
until what catches Ctrl-C is in place nothing is imported that takes its time, not even `typing`.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import NoReturn

# With these the program only shows something: nothing else may stand in its output.
_SHOWING = {
    "-h",
    "--help",
    "--hydra-help",
    "--version",
    "-c",
    "--cfg",
    "-i",
    "--info",
    "-sc",
    "--shell-completion",
}


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
    earlier = signal.getsignal(signal.SIGINT)
    if earlier is not signal.SIG_IGN:  # it is under nohup, say
        signal.signal(signal.SIGINT, _end_at_once)
    from mps_experiments.report.command_line import run_and_exit
    from mps_experiments.report.terminal import status

    def main() -> int:
        if doing:
            status(doing)  # at once: what follows takes seconds
        command = importlib.import_module(f"mps_experiments.sweep.{module}").main
        signal.signal(signal.SIGINT, earlier)
        return int(command())

    run_and_exit(main)


def _end_at_once(number: int, _: FrameType | None) -> NoReturn:
    """End while the program is imported: nothing was begun, and an exception may be lost in an import."""
    try:
        clear = "\r\x1b[K" if os.isatty(2) else ""  # what `status` shows
        os.write(2, f"{clear}mps_experiments: interrupted by {signal.Signals(number).name}\n".encode())
    finally:
        os._exit(128 + number)
