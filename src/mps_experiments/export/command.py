"""Write stored runs as one YAML that goes into conf/experiment/ and gives the same plan again."""

import argparse
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from mps_experiments.config import conf_dir
from mps_experiments.disk import write_atomically
from mps_experiments.errors import ConfigError
from mps_experiments.export.experiment import Wanted, experiment_of, wanted_of
from mps_experiments.export.origin import warnings
from mps_experiments.export.sheet import Sheet, default_name
from mps_experiments.lookup import find_runs
from mps_experiments.summaries import cut_off
from mps_experiments.terminal import Parser, complain, run_and_exit

_NAME = re.compile(r"[A-Za-z][\w-]*", re.ASCII)
_NO_NAMES = ("null", "true", "false", "nan", "inf", "on", "off", "yes", "no")  # Hydra reads them as values


def main(arguments: list[str] | None = None) -> int:
    """Write the file.

    Returns:
        0 if it was written, 1 if it was without some of the runs asked for, 2 for a user's mistake.
    """
    args = _parser().parse_args(arguments)
    try:
        return 0 if _export(args) else 1
    except ConfigError as error:
        complain(str(error))
        return 2


def entry_point() -> None:
    """The console script."""
    run_and_exit(main)


def add_places(parser: argparse.ArgumentParser) -> None:
    """Where runs are looked for."""
    parser.add_argument("--output-dir", type=Path, default=Path("outputs"), help="default: outputs")
    parser.add_argument(
        "--tracking-uri",
        help="MLflow address of runs; default: MLFLOW_TRACKING_URI, or mlflow.db in the output directory",
    )
    parser.add_argument(
        "--drop-unknown", action="store_true", help="leave out options that this version does not have"
    )


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m mps_experiments.export", description=__doc__)
    parser.add_argument("run", nargs="+", help="folder, measurement.json, MLflow run id or experiment")
    parser.add_argument("-o", "--output", metavar="FILE", help="FILE.yaml, or - for standard output")
    parser.add_argument("--force", action="store_true", help="replace a file that is there")
    parser.add_argument("--all", action="store_true", help="write the defaults of this version, too")
    add_places(parser)
    return parser


def _export(args: argparse.Namespace) -> bool:
    """Whether all that was asked for is in it."""
    found = find_runs(args.run, tracking_uri=args.tracking_uri, output_dir=args.output_dir)
    problems = [*found.problems, *filter(None, map(cut_off, args.run))]
    for problem in problems:
        complain(problem)
    wanted = wanted_of(found.runs, args.drop_unknown)
    name = None if args.output in (None, "-") else _name_of(Path(args.output))
    sheet = experiment_of(wanted, name or default_name(wanted.grid), args.all)
    for warning in (*warnings(wanted.measurements), *_gaps(wanted)):
        complain(warning)
    if args.output == "-":
        sys.stdout.write(sheet.text)
        return not problems
    path = Path(args.output or f"{sheet.name}.yaml")
    _write(path, sheet.text, args.force)
    sys.stdout.write(f"wrote {path}; {_how_to_run(path, sheet)}\n")
    return not problems


def _gaps(wanted: Wanted) -> Iterator[str]:
    """What of the records is not in the file, and the other way round."""
    if wanted.missing:
        yield f"the record says nothing of {', '.join(wanted.missing)}: today's defaults"
    if wanted.dropped:
        yield f"left out, unknown to this version: {', '.join(wanted.dropped)}"


def _name_of(path: Path) -> str:
    if path.suffix != ".yaml" or not _NAME.fullmatch(path.stem) or path.stem.lower() in _NO_NAMES:
        what = "give a name of letters, digits, - and _ that begins with a letter and ends in .yaml, or -"
        raise ConfigError("--output", path, what)
    if (shipped := conf_dir() / "experiment" / path.name).is_file() and shipped.resolve() != path.resolve():
        raise ConfigError("--output", path, "is the name of an experiment of this program; take another")
    return path.stem


def _write(path: Path, text: str, force: bool) -> None:
    try:
        if force and path.is_file():
            write_atomically(path, text.encode())
            return
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        if not path.is_file():
            raise ConfigError("--output", path, "is there and no plain file; name another") from error
        raise ConfigError("--output", path, "is there already; --force replaces it") from error
    except OSError as error:
        raise ConfigError("--output", path, f"cannot be written ({error.strerror})") from error


def _how_to_run(path: Path, sheet: Sheet) -> str:
    """Flags first, so that more options can be typed behind it."""
    folder = path.absolute().parent
    if folder.name != "experiment":
        command = shlex.join(["python", "-m", "mps_experiments", *sheet.arguments])
        return f"move it to conf/experiment/ and run it with: {command}"
    flags = ["--config-dir", str(folder.parent)]
    return f"run it with: {shlex.join(['python', '-m', 'mps_experiments', *flags, *sheet.arguments])}"
