"""``python -m mps_experiments.report [RUNS ...]``: the report of stored runs, as a page, Markdown and tables.

It measures nothing and changes no record.
"""

import argparse
import io
import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from mps_experiments.config import Config
from mps_experiments.errors import ConfigError, MpsExperimentsError
from mps_experiments.lookup import Found, find_runs, last_sweep
from mps_experiments.pages.report_page import Subject
from mps_experiments.pages.writing import WrittenReport, write_report
from mps_experiments.report.summary import summary_text
from mps_experiments.reporting import answer_lines, attach, commands_of, sound_runs
from mps_experiments.terminal import complain

_REPORTS = "reports"
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


def main(arguments: list[str] | None = None) -> int:
    """Write and print the report of what can be reported.

    Returns:
        0 if every record could be read, 1 if not, 2 for a user's mistake.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):  # what a locale lacks is no reason to end here
        sys.stdout.reconfigure(errors="replace")
    args = _parser().parse_args(arguments)
    try:
        words = args.runs or [str(last_sweep(args.output_dir))]
        found, mistakes = _find(words, args)
        subject = _subject(found)
        written = _write(subject, _folder(words, args))
        if not args.no_mlflow:
            _attach(subject, written, args)
    except ConfigError as error:
        complain(str(error))
        return 2
    except MpsExperimentsError as error:
        complain(str(error))
        return 1
    for problem in (*subject.problems, *map(str, mistakes)):
        complain(problem)
    return 2 if mistakes else 1 if subject.problems else 0


def entry_point() -> None:
    """The console script."""
    try:
        code = main()
        sys.stdout.flush()
    except BrokenPipeError:  # as in "| head": the report is written before anything is printed
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m mps_experiments.report",
        description="The report of stored runs: report.html, report.md and figures/, and the tables here.",
    )
    parser.add_argument(
        "runs",
        nargs="*",
        help="sweep or run folders, records, MLflow run ids (a parent's: the whole sweep) or experiments; "
        "several are put side by side; default: the last sweep",
    )
    parser.add_argument("--out", type=Path, help="folder for the report; default: the sweep's own")
    parser.add_argument("--output-dir", type=Path, default=Path(Config().output_dir), help="default: outputs")
    parser.add_argument("--tracking-uri", help="MLflow address; default: mlflow.db in the output directory")
    parser.add_argument("--no-mlflow", action="store_true", help="do not put it on the sweep's run in MLflow")
    return parser


def _find(words: Sequence[str], args: argparse.Namespace) -> tuple[Found, list[ConfigError]]:
    """What the words stand for, and those that stand for nothing; one that does is enough."""
    parts: list[Found] = []
    mistakes: list[ConfigError] = []
    for word in words:
        try:
            parts.append(find_runs([word], tracking_uri=args.tracking_uri, output_dir=args.output_dir))
        except ConfigError as error:
            mistakes.append(error)
    if not parts:
        raise mistakes[0]
    runs = {run.measurement.record_id: run for part in reversed(parts) for run in reversed(part.runs)}
    problems = dict.fromkeys(problem for part in parts for problem in part.problems)
    ordered = sorted(runs.values(), key=lambda run: (run.measurement.started_at, run.measurement.record_id))
    return Found(runs=tuple(ordered), problems=tuple(problems)), mistakes


def _subject(found: Found) -> Subject:
    places = [(run.measurement, run.folder) for run in found.runs]
    runs, problems = sound_runs(places)
    return Subject(
        runs=tuple(runs), commands=tuple(commands_of(places)), problems=(*found.problems, *problems)
    )


def _folder(words: Sequence[str], args: argparse.Namespace) -> Path:
    """The sweep's own folder if there is just one, else a new one."""
    if args.out is not None:
        return Path(args.out)
    if len(words) == 1 and (Path(words[0]) / "sweep.json").is_file():
        return Path(words[0])
    return Path(args.output_dir) / _REPORTS / time.strftime("%Y-%m-%d_%H-%M-%S")


def _write(subject: Subject, folder: Path) -> WrittenReport:
    """Write it, and say the same here."""
    try:
        written = write_report(subject, folder)
    except OSError as error:
        raise ConfigError("--out", folder, f"cannot be written ({error.strerror}); name another") from error
    _say(summary_text([run.measurement for run in subject.runs]))
    for line in answer_lines(subject):
        _say(f"{line}\n")
    _say(f"report: {written.html}\n")
    return written


def _attach(subject: Subject, written: WrittenReport, args: argparse.Namespace) -> None:
    """Put it on the sweep's run, if all runs are of one sweep that MLflow knows."""
    said = attach([run.measurement for run in subject.runs], written, args.tracking_uri, args.output_dir)
    if said:
        _say(f"{said}\n")


def _say(text: str) -> None:
    """Print it; a record of somebody else must not move the cursor or change the colours."""
    sys.stdout.write(_CONTROL.sub("\N{REPLACEMENT CHARACTER}", text))


if __name__ == "__main__":
    entry_point()
