"""The doctor's command line."""

import argparse
import math
import sys

from mps_experiments.config import Config
from mps_experiments.doctor.checkup import Request, examine
from mps_experiments.doctor.finding import worst
from mps_experiments.doctor.gpu import OpenGpus
from mps_experiments.doctor.roots import Roots
from mps_experiments.doctor.text import closing_line, show, to_console, to_json
from mps_experiments.machine.gpus import open_probe
from mps_experiments.terminal import Parser, run_and_exit

_DESCRIPTION = """\
Look for what a newcomer trips over: driver, GPU, MPS, torch, cores, memory, folders, tracking store.
Each line is OK, WARN or FAIL and says what to do. Nothing is changed."""
_MAX_SECONDS = 86400.0
_EXIT_CODES = "exit code, by the worst line: 0 all OK; 1 a WARN; 2 a FAIL, or a mistake on the command line"


def main(
    arguments: list[str] | None = None, open_gpus: OpenGpus = open_probe, roots: Roots | None = None
) -> int:
    """Look, show, and return the exit code.

    Args:
        arguments: None for those of this process.
        open_gpus: Opens what tells of GPUs.
        roots: Where to look at the machine; None for its own folders.
    """
    args = _parser().parse_args(arguments)
    request = Request(
        device=args.device,
        output_dir=args.output_dir,
        tracking_uri=args.tracking_uri,
        try_mps=args.try_mps,
        torch_timeout_s=args.torch_timeout_s,
    )
    console = to_console()
    findings = []
    for finding in examine(request, open_gpus, roots or Roots()):
        findings.append(finding)
        if not args.json:
            show(console, finding)
    sys.stdout.write(to_json(findings) if args.json else f"{closing_line(findings)}\n")
    return worst(findings).value


def entry_point() -> None:
    """The console script."""
    run_and_exit(main)


def _parser() -> argparse.ArgumentParser:
    defaults = Config()
    parser = Parser(
        prog="python -m mps_experiments.doctor",
        description=_DESCRIPTION,
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    parser.add_argument(
        "--device", default=defaults.device, help="as the program's device= (default: %(default)s)"
    )
    parser.add_argument(
        "--output-dir", default=defaults.output_dir, help="as output_dir= (default: %(default)s)"
    )
    parser.add_argument(
        "--tracking-uri",
        help="as tracking.uri=, or none (default: MLFLOW_TRACKING_URI, or mlflow.db in the output folder)",
    )
    parser.add_argument(
        "--try-mps", action="store_true", help="start a private MPS daemon for a moment, as each sweep does"
    )
    parser.add_argument(
        "--torch-timeout-s",
        type=_seconds,
        default=Request().torch_timeout_s,
        help="seconds for a child process to import torch (default: %(default)g)",
    )
    return parser


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= _MAX_SECONDS:  # not a number compares as false, too
        raise argparse.ArgumentTypeError(
            f"{text}: must be a number of seconds above 0, at most {_MAX_SECONDS:g}"
        )
    return seconds
