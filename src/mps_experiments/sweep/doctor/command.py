"""The doctor's command line."""

import argparse
import sys
from pathlib import Path

from rich.console import Console

from mps_experiments.config.schema import Config, TrackingConfig
from mps_experiments.machine.gpus import open_probe
from mps_experiments.machine.lock_file import LOCK_FOLDER
from mps_experiments.report.terminal import Parser
from mps_experiments.sweep.doctor.checkup import OpenGpus, examine
from mps_experiments.sweep.doctor.finding import closing_line, show, to_json, worst
from mps_experiments.tracking.addresses import store_named_outside

_DESCRIPTION = """\
Run a sweep's own checks on this machine: driver, GPU, MPS, torch, cores, memory, folder, tracking store.
Each line is OK, WARN or FAIL and says what to do. Nothing is changed."""
_EXIT_CODES = "exit code, by the worst line: 0 all OK; 1 a WARN; 2 a FAIL, or a mistake on the command line"


def main(
    arguments: list[str] | None = None, open_gpus: OpenGpus = open_probe, lock_folder: Path = LOCK_FOLDER
) -> int:
    """Look, show, and return the exit code.

    Args:
        arguments: None for those of this process.
        open_gpus: Opens what tells of GPUs.
        lock_folder: Where sweeps lock GPUs.
    """
    args = _parser().parse_args(arguments)
    uri = args.tracking_uri or store_named_outside()
    tracking = TrackingConfig(enabled=uri != "none", uri=None if uri == "none" else uri)
    config = Config(device=args.device, output_dir=args.output_dir, tracking=tracking)
    console = Console(soft_wrap=True, highlight=False, markup=False, emoji=False)
    findings = []
    for finding in examine(config, args.try_mps, open_gpus, lock_folder):
        findings.append(finding)
        if not args.json:
            show(console, finding)
    sys.stdout.write(to_json(findings) if args.json else f"{closing_line(findings)}\n")
    return worst(findings).value


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
    return parser
