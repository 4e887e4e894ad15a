"""Print what people see: a sweep's progress, lines, tables; plain text where there is no terminal.

On a terminal words and tables have its width (COLUMNS, if that is set), the decision is bold and verdicts
have colours (not with NO_COLOR). In a file or a pipe, whose width is nobody's, each line and each table is as
wide as what it says, whatever COLUMNS is, and nothing is coloured (but with FORCE_COLOR).
"""

import sys
import textwrap
import time
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, Task, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from mps_experiments.record.worker import Forward  # imports NumPy: the first line would come later

_TICK_TERMINAL_S = 1.0  # one redraw a second is all that happens in the parent while workers are timed
_TICK_PLAIN_S = 5.0
PLAIN_WIDTH = 1000  # characters; in a file no table needs to be cut
_REMAINING_EVERY_S = 60.0  # without a terminal; on one the bar says it all the time
_STYLES = {
    r"\bVALID\b": "green",
    r"\b(INVALID|REFUSED|FAILED)\b": "bold red",
    r"\b(SKIPPED|WARNING|CONTENDED)\b|\bwarning:": "yellow",
    r"\bRESUMED\b": "cyan",
}
_PHASES = {  # words of the bar; a phase that is not here has its own name
    "environment": "preparing the MPS state",
    "environment_teardown": "ending MPS",
    "workers": "starting the workers",
    "workers_teardown": "ending the workers",
    "afterwork": "finishing the last run's files",
    "proof": "proving the MPS state",
    "outputs": "comparing outputs",
}


class _Count(MofNCompleteColumn):
    """Shows how many of how many; nothing where the total is unknown."""

    def render(self, task: Task) -> Text:
        return Text("") if task.total is None else super().render(task)


class Terminal:
    """Prints a sweep's progress. A `runner.Watcher` that draws only when called, never from its own thread.

    Args:
        cell_count: Number of the sweep's cells; None where the sweeper decides as it goes.
    """

    def __init__(self, cell_count: int | None, console: Console | None = None) -> None:
        self._console = console or Console()
        # rich takes a file for a terminal if FORCE_COLOR is set: colours are meant, not a width or a bar.
        self.is_terminal = sys.stdout.isatty() if console is None else console.is_terminal
        self._console.soft_wrap = not self.is_terminal
        if not self.is_terminal:
            self._console.width = PLAIN_WIDTH
        self.tick_s = _TICK_TERMINAL_S if self.is_terminal else _TICK_PLAIN_S
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            _Count(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=self._console,
            auto_refresh=False,
            transient=True,
            disable=not self.is_terminal,
        )
        self._sweep: TaskID = self._progress.add_task("sweep", total=cell_count, left="")
        self._run: TaskID = self._progress.add_task("preparing", total=None, visible=False, left="")
        self._told_s = time.monotonic()

    def __enter__(self) -> Self:
        clear_status()
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    @property
    def width(self) -> int:
        """Return the width of a line in characters."""
        return self._console.width

    def line(self, text: str) -> None:
        """Print a line that stays."""
        self._print(text)

    def to_copy(self, text: str) -> None:
        """Print a line with a command or a path, unbroken: the terminal wraps it, and it is copied whole."""
        clear_status()
        self._show(Text(text))

    def decision(self, text: str) -> None:
        """Print what people came for; its first line is bold, of a single line the first sentence."""
        sentence, stop, _ = text.partition("\n" if "\n" in text else ". ")
        self._print(text, bold=len(sentence + stop.rstrip()))

    def _print(self, text: str, bold: int = 0) -> None:
        clear_status()
        if self.is_terminal:  # rich would break a long path, too
            lines = (
                textwrap.wrap(
                    line,
                    self.width,
                    subsequent_indent="  " if line.startswith("- ") else "",
                    break_long_words=False,
                    break_on_hyphens=False,
                )
                for line in text.splitlines()
            )
            text = "\n".join(part for line in lines for part in line)
        shown = Text(text)
        shown.stylize("bold", 0, bold)
        for pattern, colour in _STYLES.items():
            shown.highlight_regex(pattern, colour)
        self._show(shown)

    def _show(self, text: Text) -> None:
        self._progress.console.print(text, no_wrap=True, overflow="ignore", crop=False)

    def text(self, text: str) -> None:
        """Print a text with tables in it; only its words are wrapped."""
        for line in text.splitlines():
            if line[:1] in "┏┃┡│└├":
                self._show(Text(line))
            else:
                self.line(line)

    def show(self, things: Iterable[RenderableType]) -> None:
        """Print tables; words above and below one are wrapped to the terminal, not to the table."""
        for thing in things:
            if self.is_terminal and isinstance(thing, Table):
                title, caption = thing.title, thing.caption
                thing.title = thing.caption = None
                if title:
                    self.decision(str(title))
                self._progress.console.print(thing)
                self.text(str(caption or ""))
            else:
                self._progress.console.print(thing)

    def expect(self, count: int) -> None:
        """Expect this many further cells."""
        task = self._progress.tasks[self._sweep]
        if task.total is not None:
            self._progress.update(self._sweep, total=task.total + count)

    def remaining(self, text: str) -> None:
        """Say how much time is left: in the bar, or without a terminal as a line a minute."""
        self._progress.update(self._sweep, left=text)
        if not self.is_terminal and text and time.monotonic() - self._told_s > _REMAINING_EVERY_S:
            self._told_s = time.monotonic()
            task = self._progress.tasks[self._sweep]
            self.line(f"progress: {task.completed:.0f} of {task.total:.0f} runs, {text}")

    def cell_started(self, name: str, iterations: int | None) -> None:
        """Show that a cell begins; `iterations` counts those of all its workers, None if unknown."""
        self._progress.reset(self._run, description=name, total=iterations, visible=True)
        self._progress.refresh()

    def cell_finished(self, text: str) -> None:
        """Print the line of a cell that ended; nothing if the text is empty."""
        self._progress.update(self._run, visible=False)
        self._progress.advance(self._sweep)
        if text:
            self.line(text)
        self._progress.refresh()

    def phase(self, name: str) -> None:
        self._progress.update(self._run, description=_PHASES.get(name, name.replace("_", " ")))
        self._progress.refresh()

    def progress(self, finished: int) -> None:
        self._progress.update(self._run, completed=finished)
        self._progress.refresh()

    def forward(self, rank: int, pid: int, message: "Forward") -> None:
        self.line(f"worker {rank} pid {pid} stream {message.stream} #{message.iteration}: {message.shape}")


_status_stream: TextIO | None = None  # shows a status now


def status(text: str) -> None:
    """Say on a terminal what is being done, until the next output takes its place; elsewhere nothing.

    Standard error serves where standard output leads elsewhere, as with `| tee log`.
    """
    global _status_stream
    clear_status()
    _status_stream = next((each for each in (sys.stdout, sys.stderr) if each.isatty()), None)
    if _status_stream is not None:
        _status_stream.write(f"{text} ...")
        _status_stream.flush()


def announce(text: str) -> None:
    """Say what is being done; as a line of standard output if that is no terminal."""
    if sys.stdout.isatty():
        status(text)
    else:
        clear_status()
        sys.stdout.write(f"{text} ...\n")
        sys.stdout.flush()


def clear_status() -> None:
    """Remove what `status` shows."""
    global _status_stream
    if _status_stream is not None:
        _status_stream.write("\r\x1b[K")
        _status_stream.flush()
        _status_stream = None


def complain(text: str) -> None:
    """Print one line on standard error."""
    clear_status()
    sys.stderr.write(f"mps_experiments: {text}\n")
