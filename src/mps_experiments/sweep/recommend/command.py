"""Find the cell to use: the cheapest within 5 % of the best that keeps the limits."""

import argparse
import sys
import time
from collections.abc import Sequence
from typing import Any

from mps_experiments.config.cells import parse
from mps_experiments.config.mistakes import unreadable as unreadable_override
from mps_experiments.config.places import exists, new_folder
from mps_experiments.config.schema import Config
from mps_experiments.errors import ConfigError
from mps_experiments.machine.gpus import open_probe
from mps_experiments.machine.lock_file import LOCK_FOLDER
from mps_experiments.machine.signals import catch_signals
from mps_experiments.record.axes import key_of
from mps_experiments.report.command_line import Parser, as_command
from mps_experiments.report.terminal import Terminal, complain, status
from mps_experiments.sweep.lookup import find_runs, unreadable
from mps_experiments.sweep.recommend.aim import Aim, add_aim, aim_of, positive
from mps_experiments.sweep.recommend.files import MODULE, NAME, tell
from mps_experiments.sweep.recommend.given import CHOICES, FLAG, cells_of
from mps_experiments.sweep.recommend.task import set_up

_DEFAULTS = {"procs": "procs=1,2,4,8,16", "mps": "mps=off,on", "times": "times=auto"}
_WINDOW = "window_s=5"
_BUDGET_MIN = "20"
_SET_WINDOW = {"times", "window_s", "experiment"}  # who gives one of them decides the window
_PLACES = ("output_dir", "tracking.uri")  # all of a sweep's options that a choice among stored runs takes
# Options of a sweep that a search decides.
_OWN = {
    "repeat": "the search adds blocks as it needs them",
    "precision": "the search measures on until the answer is known",
    "resume": "stored runs are read in any case",
    "fault": "a search compares ordinary runs",
}


@as_command
def main(arguments: list[str] | None = None, probe: Any = None, lock_folder: Any = None) -> int:
    """Search and print the answer.

    Args:
        arguments: The command line; None for that of the process.
        probe: As for `program.main`.
        lock_folder: As for `program.main`.

    Returns:
        0 if a cell is recommended, every run made is VALID and was kept, and all of --stored could be read,
        or if no cell can run here for want of hardware; 1 if not; 2 for a user's mistake; 128 + the signal's
        number if one ended it.
    """
    started = time.monotonic()
    typed = sys.argv[1:] if arguments is None else arguments
    args = _parser().parse_intermixed_args(typed)
    catch_signals()
    aim = aim_of(args)
    if args.stored:
        return _choose(args, aim, typed)
    status("composing the cells and reading stored runs")
    budget_s = 60 * positive("--budget-min", _BUDGET_MIN if args.budget_min is None else args.budget_min)
    given = {key_of(text) for text in args.option}
    request = parse(_arguments(args, given))
    with open_probe(probe) as gpus:
        adapts_window = not given & _SET_WINDOW
        task = set_up(request, aim, gpus, budget_s, started, adapts_window)
        task.study.longer_window = _longer_window(given)
        return task.run(typed, gpus, lock_folder or LOCK_FOLDER)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog=f"python -m {MODULE}",
        description=f"{__doc__} It reads stored runs first and measures only what it lacks.",
    )
    given = " ".join([*_DEFAULTS.values(), _WINDOW])
    parser.add_argument(
        "option",
        nargs="*",
        default=[],
        help=f"the cells, as for a sweep; default: {given}; or experiment=NAME",
    )
    add_aim(parser)
    parser.add_argument("--budget-min", help=f"minutes that it may take; default: {_BUDGET_MIN}")
    parser.add_argument(
        FLAG,
        metavar="RUN",
        action="append",
        help="measure nothing and decide among the cells of these runs (a folder, a record or an MLflow "
        "run id); may be given several times",
    )
    parser.add_argument(
        "--tracking-uri",
        metavar="URI",
        help=f"MLflow address of the runs of {FLAG}; default: MLFLOW_TRACKING_URI, or output_dir/mlflow.db",
    )
    parser.add_argument("--config-dir", metavar="DIR", help="folder with an experiment of yours")
    return parser


def _choose(args: argparse.Namespace, aim: Aim, typed: Sequence[str]) -> int:
    """Choose among the cells of stored runs, and print the answer.

    Raises:
        ConfigError: If the runs do not allow a choice, or an option is given that a measurement needs.
    """
    flags = {"--budget-min": args.budget_min, "--config-dir": args.config_dir}
    given = [(flag, value) for flag, value in flags.items() if value is not None]
    options = _options(args.option)
    only = {key: value.split(",") for key, value in options.items() if key in CHOICES}
    given += [(key, value) for key, value in options.items() if key not in {*_PLACES, *only}]
    if given:
        raise ConfigError(*given[0], f"has no effect with {FLAG}, which measures nothing; leave it out")
    status("reading stored runs")
    output_dir = Config(output_dir=options.get("output_dir", Config().output_dir)).output_path
    uri = args.tracking_uri or options.get("tracking.uri")
    found = find_runs(args.stored, tracking_uri=uri, output_dir=output_dir, option=FLAG)
    if line := unreadable(found.problems):
        complain(line)
    known = cells_of(aim, [run.measurement for run in found.runs], only)
    if known.unused:
        Terminal(None).line(known.unused)
    answer = tell(known, new_folder(output_dir / NAME), typed)
    return int(answer.chosen is None or bool(found.problems))


def _options(texts: Sequence[str]) -> dict[str, str]:
    """Return option -> value of a choice among stored runs.

    Raises:
        ConfigError: If a text is no option but a run, lacks its value, or contradicts an earlier one.
    """
    found: dict[str, str] = {}
    for text in texts:
        if exists(text):
            raise ConfigError(text, "", f"is read as an option; write {FLAG} before each RUN")
        key, (_, equals, value) = key_of(text), text.partition("=")
        if key in (*_PLACES, *CHOICES) and not equals:
            raise unreadable_override(text)
        if key == "output_dir" and not value.strip():
            raise ConfigError(key, value or "''", "must name a folder")
        if found.setdefault(key, value) != value:
            raise ConfigError(key, value, f"was given before as {found[key]}; give one value")
    return found


def _longer_window(given: set[str]) -> str:
    """Say what the user can do for more iterations in a run, by the options given."""
    if "experiment" in given:
        return "give a longer window_s"
    typed = sorted(given & _SET_WINDOW)
    return f"leave {' and '.join(typed)} out" if typed else "give a larger --budget-min"


def _arguments(args: argparse.Namespace, given: set[str]) -> list[str]:
    """Return the command line of a sweep over the cells.

    Raises:
        ConfigError: If an option is set that the search decides.
    """
    if args.tracking_uri is not None:
        what = f"is where the runs of {FLAG} are; tracking.uri=... is where a search logs its runs"
        raise ConfigError("--tracking-uri", args.tracking_uri, what)
    for text in args.option:
        if (why := _OWN.get(key_of(text).partition(".")[0])) is not None:
            raise ConfigError(key_of(text), text.partition("=")[2], f"{why}; leave it out")
    defaults = [text for key, text in _DEFAULTS.items() if key not in given]
    if not given & _SET_WINDOW:
        defaults.append(_WINDOW)
    folder = ["--config-dir", args.config_dir] if args.config_dir else []
    return ["-m", *folder, *([] if "experiment" in given else defaults), *args.option, "repeat=0"]
