"""Run a stored run or sweep again and show both results side by side."""

import argparse
import contextlib
import os
import sys
from pathlib import Path
from typing import Any

from mps_experiments import cli
from mps_experiments.composition import parse
from mps_experiments.errors import ConfigError
from mps_experiments.export.command import add_places
from mps_experiments.export.experiment import Wanted, wanted_of
from mps_experiments.export.values import frozen, plain
from mps_experiments.lookup import find_runs
from mps_experiments.machine.gpus import GpuProbe, open_probe
from mps_experiments.measurement.verdict import Status
from mps_experiments.preflight import plan_cells
from mps_experiments.replay.circumstances import difference_lines
from mps_experiments.replay.files import folder_of_code, with_files_of_now
from mps_experiments.replay.order import MAY_CHANGE, Order, order_of
from mps_experiments.replay.side_by_side import Sides, key_of, remarks, table
from mps_experiments.summaries import cut_off
from mps_experiments.terminal import Parser, Terminal, complain, run_and_exit

_MAX_REPEATS = 1000


def main(arguments: list[str] | None = None, probe: Any = None, lock_folder: Any = None) -> int:
    """Run it again.

    Args:
        arguments: The command line; None for that of the process.
        probe: As for `cli.main`.
        lock_folder: As for `cli.main`.

    Returns:
        0 if every run is VALID now and was kept; 1 if not; 2 for a user's mistake; 128 + the signal's number
        if one ended it.
    """
    args = _parser().parse_intermixed_args(arguments)
    try:
        wanted, folder = _wanted(args)
        order = order_of(wanted, args.output_dir, args.repeats, args.option)
        if folder is not None:
            sys.stdout.write(f"run in {folder}, where the factory is as it was\n")
            os.chdir(folder)
        with contextlib.nullcontext(probe) if probe else open_probe() as gpus:
            _show_differences(wanted, order, gpus)
        code = _run(order, probe, lock_folder)
        return code if code == cli.EXIT_USER_ERROR else _finish(wanted, order, code)
    except ConfigError as error:
        complain(str(error))
        return cli.EXIT_USER_ERROR


def entry_point() -> None:
    """The console script."""
    run_and_exit(main)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m mps_experiments.replay", description=__doc__)
    parser.add_argument("run", help="folder, measurement.json, MLflow run id or experiment")
    anew = f"option=value of this machine: {', '.join(MAY_CHANGE)}"
    parser.add_argument("option", nargs="*", default=[], help=anew)
    parser.add_argument("--repeats", type=int, default=1, metavar="N", help="measure N times; default: 1")
    parser.add_argument(
        "--allow-code", action="store_true", help="run the factory that the stored run names: you trust it"
    )
    add_places(parser)
    return parser


def _wanted(args: argparse.Namespace) -> tuple[Wanted, Path | None]:
    """The stored cells, and the folder to run them in; None for the current one.

    Raises:
        ConfigError: If they cannot be had, name code to run, or an option is given that makes it another run.
    """
    if not 1 <= args.repeats <= _MAX_REPEATS:
        raise ConfigError("--repeats", args.repeats, f"must lie between 1 and {_MAX_REPEATS}")
    for text in args.option:
        option, separator, value = text.partition("=")
        if not separator or option not in MAY_CHANGE:
            what = f"would be another run; only these can be given anew: {', '.join(MAY_CHANGE)}"
            raise ConfigError(option, value, what)
    found = find_runs([args.run], tracking_uri=args.tracking_uri, output_dir=args.output_dir)
    for problem in (*found.problems, *filter(None, [cut_off(args.run)])):
        complain(problem)
    given = [text.partition("=")[0] for text in args.option]
    runs = with_files_of_now(found.runs, given)
    wanted = wanted_of(runs, args.drop_unknown, without=("repeat",))
    for text in args.option:
        option, _, value = text.partition("=")
        if option in wanted.grid.axes:
            raise ConfigError(option, value, "is an axis of the stored sweep; replay one run of it")
    if wanted.dropped:
        complain(f"left out, unknown to this version: {', '.join(wanted.dropped)}")
    factories = [wanted.grid.common.get("workload.factory"), *wanted.grid.axes.get("workload.factory", ())]
    if any(factories) and not args.allow_code:
        named = ", ".join(str(each) for each in factories if each)
        raise ConfigError("run", args.run, f"names code to run ({named}); if you trust it, add --allow-code")
    return wanted, folder_of_code(runs)


def _show_differences(wanted: Wanted, order: Order, probe: GpuProbe) -> None:
    """What is not as it was; nothing is refused for it.

    Raises:
        ConfigError: If the cells cannot work on this machine.
    """
    cells = parse(order.arguments).cells
    axes = tuple(wanted.grid.axes)
    if len(cells) != order.cell_count:
        what = "has several values: each stored cell is run with one; replay it again for another"
        raise ConfigError("option", " ".join(order.options), what)
    plans = {
        frozen({name: plain(cell)[name] for name in axes}): plan
        for cell, plan in zip(cells, plan_cells(cells, probe), strict=True)
    }
    pairs = [(each, plans[key_of(each, axes)]) for each in wanted.measurements]
    lines = [*difference_lines(pairs, probe), *_assumed(wanted)]
    for line in lines or ["nothing differs that is recorded: machine, driver, versions, code, files"]:
        sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _assumed(wanted: Wanted) -> list[str]:
    """Options that the records say nothing of."""
    return [f"differs: the record says nothing of {each}: today's default" for each in wanted.missing]


def _run(order: Order, probe: Any, lock_folder: Any) -> int:
    """The program itself, as if its command line had been typed: Hydra reads it from there."""
    typed = sys.argv
    sys.argv = [typed[0], *order.arguments]
    try:
        return cli.main(probe, lock_folder)
    finally:
        sys.argv = typed


def _finish(wanted: Wanted, order: Order, code: int) -> int:
    """Both results; the exit code."""
    if not order.sweep_dir.is_dir():  # it ended before its first cell, and has said why
        return code or 1
    found = find_runs([str(order.sweep_dir)], tracking_uri=None, output_dir=order.sweep_dir)
    now = [
        run.measurement
        for run in found.runs
        if run.folder and run.folder.name != "reference" and not run.measurement.cell.is_twin
    ]
    sides = Sides(stored=wanted.measurements, now=now, axes=tuple(wanted.grid.axes))
    terminal = Terminal(None)
    terminal.show([table(sides)])
    for line in remarks(sides):
        terminal.line(line)
    all_valid = all(measurement.verdict.status is Status.VALID for measurement in now)
    return code if code or (all_valid and now) else 1
