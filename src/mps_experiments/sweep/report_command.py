"""``python -m mps_experiments.report [RUNS ...]``: the report of stored runs, as a page, Markdown and tables.

It measures nothing and changes no record.
"""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

from mps_experiments.analysis.metrics import priced
from mps_experiments.config.places import new_folder
from mps_experiments.config.schema import options
from mps_experiments.errors import ConfigError
from mps_experiments.record.summaries import NAME, Found, decided_of, precision_of, read_summary, summaries_in
from mps_experiments.report.command_line import EXIT_USER_ERROR, Parser, as_command
from mps_experiments.report.content import printable
from mps_experiments.report.export import Export
from mps_experiments.report.report_page import Subject
from mps_experiments.report.terminal import Terminal, complain
from mps_experiments.report.writing import write_report
from mps_experiments.sweep.lookup import add_places, find_runs, last_sweep
from mps_experiments.sweep.reporting import answer_lines, commands_of, sound_runs, tables_by_machine

_REPORTS = "reports"


@as_command
def main(arguments: list[str] | None = None) -> int:
    """Write and print the report of what can be reported.

    Returns:
        0 if every record could be read, 1 if not, 2 for a user's mistake.
    """
    args, mistakes = _parser().parse_intermixed_args(arguments), list[ConfigError]()
    _refuse_useless(args)
    words = args.runs or [str(last_sweep(args.output_dir))]
    places = {"tracking_uri": args.tracking_uri, "output_dir": args.output_dir}
    found = find_runs(words, **places, mistakes=mistakes)
    if mistakes and not found.runs:
        raise mistakes[0]
    subject = _subject(words, found, args.gpu_hour)
    if subject.runs and args.export:
        args.export.write(subject)
    elif subject.runs:  # nothing is written of nothing
        _write(subject, _folder(words, subject, args))
    for problem in (*subject.problems, *map(str, mistakes)):
        complain(problem)
    if mistakes:
        return EXIT_USER_ERROR
    return 1 if subject.problems else 0


def _refuse_useless(args: argparse.Namespace) -> None:
    """Refuse a folder for a report that is not written."""
    if args.export and args.out is not None:
        what = "has no effect with --export; leave it out, or name a file: --export csv=FILE"
        raise ConfigError("--out", args.out, what)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m mps_experiments.report",
        description="The report of stored runs: report.html, report.md and figures/, and the tables here.",
    )
    parser.add_argument(
        "runs",
        nargs="*",
        help="sweep or run folders, records, MLflow run ids (a parent's: the whole sweep); several are put "
        "side by side; default: the last sweep that has a record",
    )
    parser.add_argument("--out", type=Path, help="folder for the report; default: the sweep's own")
    parser.add_argument(
        "--export",
        type=Export.parse,
        metavar="KIND[=FILE]",
        help="write the table of all cells instead of a report, as csv, json or markdown; without --out",
    )
    add_places(parser, "--tracking.uri")
    parser.add_argument(
        *("--gpu-hour", "--cost.gpu_hour"),
        type=_price,
        help="price of an hour of the GPU, for the cost of the work",
    )
    parser.add_argument("--no-mlflow", action="store_true", help=argparse.SUPPRESS)  # it did something once
    return parser


def _price(text: str) -> float:
    (option,) = (each for each in options() if each.name == "cost.gpu_hour")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not option.allows(value):
        raise argparse.ArgumentTypeError(f"{text!r}: must be {option.wanted}")
    return value


def _subject(words: Sequence[str], found: Found, gpu_hour: float | None) -> Subject:
    places = [
        (run.measurement if gpu_hour is None else priced(run.measurement, gpu_hour), run.folder)
        for run in found.runs
    ]
    runs, problems = sound_runs(places)
    commands = dict.fromkeys((*commands_of(places), *found.commands))
    is_one = len(words) == 1
    summaries = list(summaries_in(Path(words[0]))) if is_one else []
    return Subject(
        runs=tuple(runs),
        commands=tuple(commands),
        problems=(*found.problems, *problems),
        precision=precision_of(summaries),
        decided=decided_of(summaries) or (found.decided if is_one else ()),
    )


def _folder(words: Sequence[str], subject: Subject, args: argparse.Namespace) -> Path:
    """Return the sweep's own folder if the report is of all of it, else a new one."""
    if args.out is not None:
        return Path(args.out)
    parent = Path(args.output_dir) / _REPORTS
    if len(words) != 1 or not (Path(words[0]) / NAME).is_file():
        return new_folder(parent)
    summary = read_summary(Path(words[0]) / NAME)
    if summary is not None and summary.lacking([run.measurement.record_id for run in subject.runs]):
        apart = new_folder(parent)
        complain(f"the sweep's own report stays as it is: this one lacks runs of it, and goes to {apart}")
        return apart
    return Path(words[0])


def _write(subject: Subject, folder: Path) -> None:
    """Say here what the report says, then write it: its charts take seconds."""
    terminal = Terminal(None)
    said = ["\n".join(subject.decided)] if subject.decided else answer_lines(subject)
    for text in said:
        terminal.decision(printable(text))
    measurements = [run.measurement for run in subject.runs]
    terminal.text(printable(tables_by_machine(measurements, terminal.width)))
    try:
        written = write_report(subject, folder)
    except OSError as error:
        raise ConfigError("--out", folder, f"cannot be written ({error.strerror}); name another") from error
    terminal.to_copy(printable(f"report: {written.html}"))
