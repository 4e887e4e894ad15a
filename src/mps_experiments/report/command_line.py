"""The frame of every command: its options, its exit code, and one line for what ends it."""

import argparse
import difflib
import functools
import itertools
import signal
import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any, NoReturn, ParamSpec

from mps_experiments.config.places import exists
from mps_experiments.errors import ConfigError, Interrupted, interruption_in
from mps_experiments.report.standard_streams import (
    EXIT_UNWRITABLE,
    finish_output,
    guard_streams,
    is_closed_pipe,
)
from mps_experiments.report.terminal import clear_status, complain

EXIT_USER_ERROR = 2

_Arguments = ParamSpec("_Arguments")


class Parser(argparse.ArgumentParser):
    """A command line whose mistakes are one line, and whose options may be typed as the program's are.

    ``output_dir=x`` means ``--output-dir x``, and ``all=true`` means ``--all``. No name can be cut short.
    """

    def __init__(self, **keywords: Any) -> None:
        super().__init__(allow_abbrev=False, **keywords)

    def parse_known_args(  # type: ignore[override]  # two overloads of the same
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> Any:
        """Read both spellings.

        An option that is given twice is refused, since one of them would be lost; and one that is none.
        """
        words = sys.argv[1:] if args is None else args
        self._refuse_unknown(words)
        self._refuse_contradictions(words)
        return super().parse_known_args([typed for word in words for typed in self._spelled(word)], namespace)

    def _refuse_unknown(self, words: Sequence[str]) -> None:
        for word in itertools.takewhile(lambda each: each != "--", words):
            name = word.partition("=")[0]
            if not name.startswith("--") or " " in name or name in self._option_string_actions:
                continue
            options = self._option_string_actions.items()
            shown = [flag for flag, action in options if action.help != argparse.SUPPRESS]
            found = [flag for flag in shown if flag.startswith(name) or name.startswith(flag)]
            close = " or ".join(found or difflib.get_close_matches(name, shown, n=1))
            self.error(f"{name}: no such option" + (f"; did you mean {close}?" if close else ""))

    def _refuse_contradictions(self, words: Sequence[str]) -> None:
        given: dict[str, str] = {}
        for word, following in itertools.zip_longest(words, words[1:], fillvalue=""):
            if word == "--":
                return
            name, equals, value = word.partition("=")
            action = self._option_of(word)
            if action is None or isinstance(action, argparse._AppendAction):
                continue
            if not equals:
                value = "true" if action.nargs == 0 else following
            if given.setdefault(action.dest, value) != value:
                self.error(f"{name}={value}: was given before as {given[action.dest]}; give one value")

    def _option_of(self, word: str) -> argparse.Action | None:
        """Return the option that a word sets, in either spelling."""
        name, equals, _ = word.partition("=")
        options = self._option_string_actions
        if name.startswith("--"):
            return options.get(name)
        if not equals or exists(word):
            return None
        return options.get(f"--{name}") or options.get(f"--{name.replace('_', '-')}")

    def _spelled(self, word: str) -> list[str]:
        name, equals, value = word.partition("=")
        flag = f"--{name}"
        if flag not in self._option_string_actions:
            flag = flag.replace("_", "-")
        if not equals or flag not in self._option_string_actions or exists(word):
            return [word]
        if self._option_string_actions[flag].nargs != 0:
            return [f"{flag}={value}"]
        if value.lower() not in ("true", "false"):
            self.error(f"{name}={value}: must be true or false")
        return [flag] if value.lower() == "true" else []

    def error(self, message: str) -> NoReturn:
        """Print the mistake and exit with code 2."""
        complain(f"{message}; see {self.prog} --help")
        sys.exit(EXIT_USER_ERROR)


def as_command(main: Callable[_Arguments, int]) -> Callable[_Arguments, int]:
    """Make a function a command: what ends it early is one line and an exit code.

    The code is 2 for a user's mistake (`ConfigError`), and 128 + the number of a signal (`Interrupted`).
    """

    @functools.wraps(main)
    def framed(*args: _Arguments.args, **keywords: _Arguments.kwargs) -> int:
        try:
            return main(*args, **keywords)
        except (Exception, Interrupted) as error:
            if (interruption := interruption_in(error)) is not None:
                complain(str(interruption))
                return 128 + interruption.signal_number
            if isinstance(error, ConfigError):
                complain(str(error))
                return EXIT_USER_ERROR
            raise

    return framed


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
    clear_status()
    problem = finish_output()
    if problem is not None and is_closed_pipe(problem):
        code = code or 128 + signal.SIGPIPE
    elif problem is not None:
        complain(f"standard output cannot be written ({problem.strerror})")
        code = code or EXIT_UNWRITABLE
    sys.exit(code)


def _terminated(number: int, _: FrameType | None) -> NoReturn:
    sys.exit(128 + number)
