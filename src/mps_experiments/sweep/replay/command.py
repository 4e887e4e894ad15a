"""Run stored runs again and compare both results."""

import argparse
import contextlib
import shlex
import sys
import time
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mps_experiments.analysis.keys import frozen
from mps_experiments.config.cells import parse
from mps_experiments.errors import ConfigError
from mps_experiments.machine.gpus import open_probe
from mps_experiments.record.measurement import find_measurements
from mps_experiments.report.command_line import EXIT_USER_ERROR, Parser, as_command
from mps_experiments.report.terminal import Terminal
from mps_experiments.sweep import program
from mps_experiments.sweep.compare import show
from mps_experiments.sweep.comparison import compared, of_one_window
from mps_experiments.sweep.export.command import add_reading, stored_runs
from mps_experiments.sweep.export.experiment import FACTORY, experiment_of
from mps_experiments.sweep.export.values import StoredRun, asked_for, typed
from mps_experiments.sweep.lookup import find_runs
from mps_experiments.sweep.replay.files import folder_of_code, with_files_of_now

_MAX_REPEATS = 1000
_NAMES = ("stored", "now")
_FOLDER = "replayed"  # below output_dir; the files stay, so that the command in sweep.json works again
# What may be said anew: it is of this machine, or changes no number.
_MAY_CHANGE = (
    *("device", "gpu_wait_s", "min_free_disk_mb", "report", "workload.input", "workload.weights"),
    *("tracking", "tracking.enabled", "tracking.uri", "tracking.experiment"),
    *("tracking.timeout_s", "tracking.connect_timeout_s"),
)


@as_command
def main(arguments: list[str] | None = None, probe: Any = None, lock_folder: Any = None) -> int:
    """Run them again.

    Args:
        arguments: The command line; None for that of the process.
        probe: As for `program.main`.
        lock_folder: As for `program.main`.

    Returns:
        0 if every stored run could be read, is VALID now and was kept; 1 if not; 2 for a user's mistake;
        128 + the signal's number if one ended it.
    """
    args = _parser().parse_intermixed_args(arguments)
    output_dir = args.output_dir.absolute()
    moment = time.strftime("%Y-%m-%d/%H-%M-%S")
    sweep_dir = output_dir / f"{moment}-replay-{uuid.uuid4().hex[:6]}"
    runs, is_all = _wanted(args)
    with open_probe(probe) as gpus:
        _refuse_cpu_for_gpu(runs, args, bool(gpus.gpus()))
    commands = _commands(runs, args, sweep_dir, output_dir)
    if (folder := folder_of_code(runs)) != Path.cwd():
        sys.stdout.write(f"run in {folder}, where the factory is as it was\n")
    with contextlib.chdir(folder):
        code = _run(commands, probe, lock_folder)
    if code == EXIT_USER_ERROR or not find_measurements(sweep_dir):  # it has said why
        return code or 1
    now = asked_for(find_runs([str(sweep_dir)], tracking_uri=None, output_dir=output_dir).runs)
    sides = [of_one_window(side) for side in (runs, now)]
    cells = [cell for cell in compared(sides[0][0], sides[1][0], _NAMES) if cell.a]
    about = [f"{name}: {line}" for name, (_, lines) in zip(_NAMES, sides, strict=True) for line in lines]
    missing = list(dict.fromkeys(text for run in runs for text in run.missing))
    show(Terminal(None), cells, _NAMES, about=about, missing=missing)
    command = shlex.join(["python", "-m", "mps_experiments.report", args.run, str(sweep_dir)])
    sys.stdout.write(f"report of both: {command}\n")
    is_valid = all(run.measurement.verdict.is_valid for run in now)
    return code or int(not (is_all and is_valid))


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m mps_experiments.replay", description=__doc__)
    parser.add_argument("run", help="folder, measurement.json, MLflow run id or experiment")
    anew = f"option=value of this machine: {', '.join(_MAY_CHANGE)}"
    parser.add_argument("option", nargs="*", default=[], help=anew)
    repeats = "measure each cell N times; default: as often as it is stored"
    parser.add_argument("--repeats", type=int, metavar="N", help=repeats)
    parser.add_argument(
        "--allow-code", action="store_true", help="run the factory that the stored run names: you trust it"
    )
    add_reading(parser)
    return parser


def _wanted(args: argparse.Namespace) -> tuple[list[StoredRun], bool]:
    """Return the stored runs, their files found, and whether that is all of them.

    Raises:
        ConfigError: If they cannot be had, name code to run, or an option is given that makes it another run.
    """
    if args.repeats is not None and not 1 <= args.repeats <= _MAX_REPEATS:
        raise ConfigError("--repeats", args.repeats, f"must be a whole number from 1 to {_MAX_REPEATS}")
    given = [text.partition("=")[0] for text in args.option]
    for option, text in zip(given, args.option, strict=True):
        if "=" not in text or option not in _MAY_CHANGE:
            what = f"would be another run; only these can be given anew: {', '.join(_MAY_CHANGE)}"
            if "=" not in text:
                what = "one RUN can be replayed at a time; give the folder of a sweep for all of its runs"
            raise ConfigError(option, text.partition("=")[2], what)
    runs, is_all = stored_runs([args.run], args)
    named = ", ".join(dict.fromkeys(str(run.values[FACTORY]) for run in runs if run.values[FACTORY]))
    if named and not args.allow_code:
        raise ConfigError("run", args.run, f"names code to run ({named}); if you trust it, add --allow-code")
    return with_files_of_now(runs, given), is_all


def _refuse_cpu_for_gpu(runs: Sequence[StoredRun], args: argparse.Namespace, has_gpu: bool) -> None:
    """Refuse to measure on the CPU, for hours perhaps, what was measured on a GPU: nothing would compare.

    Raises:
        ConfigError: If it would come to that for every run.
    """
    names = {gpu.name if (gpu := run.measurement.machine.gpu) else "" for run in runs}
    on_cpu = not has_gpu or "device=cpu" in args.option
    if on_cpu and "" not in names:
        where = "device=cpu is none" if has_gpu else "there is none here"
        what = f"was measured on a GPU ({', '.join(sorted(names))}), and {where}: nothing could be compared"
        raise ConfigError("run", args.run, what)


def _commands(
    runs: Sequence[StoredRun], args: argparse.Namespace, sweep_dir: Path, output_dir: Path
) -> list[list[str]]:
    """Write the experiment and return the command lines that run it: one for most.

    Raises:
        ConfigError: If this version does not take a value, or the folder cannot be written.
    """
    repeats = None if args.repeats is None else f"repeat={','.join(map(str, range(args.repeats)))}"
    if repeats:
        runs = [replace(run, values=run.values | {"repeat": 0}) for run in runs]
    experiment = experiment_of(runs, f"replay-{sweep_dir.name[-6:]}")
    try:
        experiment.place(output_dir / _FOLDER)
    except OSError as error:
        raise ConfigError("--output-dir", args.output_dir, f"cannot be written ({error.strerror})") from error
    commands = []
    for number, command in enumerate(experiment.commands):
        folder = sweep_dir / str(number) if len(experiment.commands) > 1 else sweep_dir
        places = [f"output_dir={typed(str(output_dir))}", f"hydra.sweep.dir={typed(str(folder))}"]
        given = [*([repeats] if repeats else []), *places, *args.option]
        commands.append(["-m", "--config-dir", str(output_dir / _FOLDER), *command, *given])
    count = len({frozen(run.values) for run in runs}) * (args.repeats or 1)
    if sum(len(parse(command).cells) for command in commands) != count:
        what = "give one value, of no option in which the stored runs differ; or replay one run"
        raise ConfigError("option", " ".join(args.option), what)
    return commands


def _run(commands: Sequence[Sequence[str]], probe: Any, lock_folder: Any) -> int:
    """Run the program itself, as if its command lines had been typed: Hydra reads them from there."""
    before, code = sys.argv, 0
    try:
        for command in commands:
            sys.argv = [before[0], *command]
            code = max(code, program.main(probe, lock_folder, can_resume=False))
            if code > 1:  # refused, or a signal
                break
    finally:
        sys.argv = before
    return code
