"""Show a sweep's progress: two progress bars, or plain lines where there is no terminal."""

import argparse
import signal
import sys
from collections.abc import Callable, Iterable
from types import FrameType, TracebackType
from typing import NoReturn, Self

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from mps_experiments.record.worker import Forward
from mps_experiments.report.standard_streams import (
    EXIT_UNWRITABLE,
    finish_output,
    guard_streams,
    is_closed_pipe,
)

_TICK_TERMINAL_S = 1.0  # one redraw a second is all that happens in the parent while workers are timed
_TICK_PLAIN_S = 5.0
_PLAIN_WIDTH = 1000  # characters; in a file no table needs to be cut


class Terminal:
    """Prints a sweep's progress. A `runner.Watcher` that draws only when called, never from its own thread.

    Args:
        cell_count: Number of the sweep's cells; None where the sweeper decides as it goes.
    """

    def __init__(self, cell_count: int | None, console: Console | None = None) -> None:
        self._console = console or Console(soft_wrap=True)
        if not self._console.is_terminal:
            self._console.width = _PLAIN_WIDTH
        self.tick_s = _TICK_TERMINAL_S if self._console.is_terminal else _TICK_PLAIN_S
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
            auto_refresh=False,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._sweep: TaskID = self._progress.add_task("sweep", total=cell_count)
        self._run: TaskID = self._progress.add_task("preparing", total=None, visible=False)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def line(self, text: str) -> None:
        """Print a line that stays."""
        self._progress.console.print(text, markup=False, highlight=False, emoji=False)

    def show(self, things: Iterable[RenderableType]) -> None:
        """Print tables at the end."""
        for thing in things:
            self._progress.console.print(thing)

    def expect(self, count: int) -> None:
        """Expect this many further cells."""
        task = self._progress.tasks[self._sweep]
        if task.total is not None:
            self._progress.update(self._sweep, total=task.total + count)

    def cell_started(self, name: str, iterations: int | None) -> None:
        """Show that a cell begins; `iterations` counts those of all its workers, None if unknown."""
        self._progress.reset(self._run, description=name, total=iterations, visible=True)
        self._progress.refresh()

    def cell_finished(self, text: str) -> None:
        """Print the line of a cell that ended."""
        self._progress.update(self._run, visible=False)
        self._progress.advance(self._sweep)
        self.line(text)
        self._progress.refresh()

    def phase(self, name: str) -> None:
        self._progress.update(self._run, description=name.replace("_", " "))
        self._progress.refresh()

    def progress(self, finished: int) -> None:
        self._progress.update(self._run, completed=finished)
        self._progress.refresh()

    def forward(self, rank: int, pid: int, message: Forward) -> None:
        self.line(f"worker {rank} pid {pid} stream {message.stream} #{message.iteration}: {message.shape}")


class Parser(argparse.ArgumentParser):
    """A command line whose mistakes are one line."""

    def error(self, message: str) -> NoReturn:
        """Print the mistake and exit with code 2."""
        complain(f"{message}; see {self.prog} --help")
        sys.exit(2)


def run_and_exit(main: Callable[[], int]) -> NoReturn:
    """Run a console script. Printing cannot end it, and Ctrl-C and SIGTERM leave no traceback.

    The exit code is that of `main`. If that is 0 and standard output is incomplete, the exit code is 141 for
    a reader that left, as after SIGPIPE, and otherwise 74, with one line on standard error.
    """
    guard_streams()
    signal.signal(signal.SIGTERM, _terminated)
    try:
        code = main()
    except KeyboardInterrupt:
        complain("interrupted by SIGINT")
        code = 128 + signal.SIGINT
    except SystemExit as ended:  # argparse, after --help
        if not isinstance(ended.code, int | None):
            raise
        code = ended.code or 0
    problem = finish_output()
    if problem is not None and is_closed_pipe(problem):
        code = code or 128 + signal.SIGPIPE
    elif problem is not None:
        complain(f"standard output cannot be written ({problem.strerror})")
        code = code or EXIT_UNWRITABLE
    sys.exit(code)


def _terminated(number: int, _: FrameType | None) -> NoReturn:
    sys.exit(128 + number)


def complain(text: str) -> None:
    """Print one line on standard error."""
    sys.stderr.write(f"mps_experiments: {text}\n")
