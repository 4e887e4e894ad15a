"""Write stored runs as one YAML that gives the same plans again."""

import argparse
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from mps_experiments.config.places import exists
from mps_experiments.errors import ConfigError
from mps_experiments.record.summaries import cut_off
from mps_experiments.report.command_line import Parser, as_command
from mps_experiments.report.terminal import complain
from mps_experiments.sweep.export.experiment import FOLDER, experiment_of
from mps_experiments.sweep.export.values import StoredRun, asked_for
from mps_experiments.sweep.lookup import add_places, find_runs

_MAX_NAME = 250  # a file name takes 255 bytes
_FILE_NAME = re.compile(rf"[A-Za-z][\w-]{{,{_MAX_NAME - 1}}}\.yaml", re.ASCII)


@as_command
def main(arguments: list[str] | None = None) -> int:
    """Write the file.

    Returns:
        0 if it was written, 1 if it was without some of the runs asked for, 2 for a user's mistake.
    """
    args = _parser().parse_args(arguments)
    runs, is_all = stored_runs(args.run, args)
    name = "" if args.output in (None, "-") else _name_of(Path(args.output))
    experiment = experiment_of(runs, name)
    if args.output == "-":
        sys.stdout.write(experiment.text)
    else:
        path = Path(args.output or Path(FOLDER) / f"{experiment.name}.yaml")
        _write(path, experiment.text, args.force)
        sys.stdout.write(f"wrote {path}; run it with:\n")
        for line in experiment.lines(os.path.relpath(path.absolute().parent.parent)):
            sys.stdout.write(f"  {line}\n")
    return 0 if is_all else 1


def add_reading(parser: argparse.ArgumentParser, *more: str) -> None:
    """Add where runs are looked for (see `add_places`), and how their configurations are read."""
    add_places(parser, *more)
    parser.add_argument(
        "--drop-unknown", action="store_true", help="leave out options that this version does not have"
    )


def stored_runs(words: Sequence[str], args: argparse.Namespace) -> tuple[list[StoredRun], bool]:
    """Return the runs that the words stand for, and whether that is all of them; say what is amiss.

    Raises:
        ConfigError: If there is none, or one is of another version.
    """
    found = find_runs(words, tracking_uri=args.tracking_uri, output_dir=args.output_dir)
    problems = [*found.problems, *filter(None, map(cut_off, words))]
    for problem in problems:
        complain(problem)
    runs = asked_for(found.runs, args.drop_unknown)
    if unknown := dict.fromkeys(key for run in runs for key in run.unknown):
        complain(f"left out, unknown to this version: {', '.join(unknown)}")
    return runs, not problems


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m mps_experiments.export", description=__doc__)
    parser.add_argument("run", nargs="+", help="folder, measurement.json, MLflow run id or experiment")
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="experiment/FILE.yaml, or - for standard output"
    )
    parser.add_argument("--force", action="store_true", help="replace a file that is there")
    add_reading(parser, "--tracking.uri")
    return parser


def _name_of(path: Path) -> str:
    """Return the experiment's name; Hydra looks for experiments in a folder of that name only."""
    if not _FILE_NAME.fullmatch(path.name) or path.absolute().parent.name != FOLDER:
        name = f"where NAME has letters, digits, - and _, {_MAX_NAME} at most"
        what = f"must be {FOLDER}/NAME.yaml, {name}; a single - prints the file"
        raise ConfigError("--output", path, what)
    return path.stem


def _write(path: Path, text: str, force: bool) -> None:
    if exists(path) and not force:
        raise ConfigError("--output", path, "is there already; --force replaces it")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError("--output", path, f"cannot be written ({error.strerror})") from error
