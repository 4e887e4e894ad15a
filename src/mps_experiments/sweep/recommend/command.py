"""Find the cell to use: the cheapest within 5 % of the best that keeps the limits."""

import argparse
import contextlib
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import compress
from pathlib import Path
from typing import Any

from mps_experiments.config.cells import Grid, Request, parse
from mps_experiments.config.schema import Config
from mps_experiments.errors import ConfigError, Interrupted
from mps_experiments.machine.facts import collect_facts
from mps_experiments.machine.gpus import GpuProbe, open_probe
from mps_experiments.machine.lock_file import LOCK_FOLDER
from mps_experiments.machine.signals import catch_signals
from mps_experiments.mps.logs import client_limit, cuda_version
from mps_experiments.record.axes import key_of
from mps_experiments.record.machine import MachineFacts
from mps_experiments.record.measurement import read_measurement
from mps_experiments.report.terminal import Parser, Terminal, complain, status
from mps_experiments.run.plan import RunPaths
from mps_experiments.sweep.lookup import find_runs
from mps_experiments.sweep.opening import open_sweep
from mps_experiments.sweep.preflight import plan_cells
from mps_experiments.sweep.program import EXIT_USER_ERROR
from mps_experiments.sweep.recommend.agenda import SearchAgenda, SearchGrid
from mps_experiments.sweep.recommend.aim import Aim, add_aim, aim_of, positive
from mps_experiments.sweep.recommend.answer import Answer
from mps_experiments.sweep.recommend.files import write_answer
from mps_experiments.sweep.recommend.given import FLAG, cells_of
from mps_experiments.sweep.recommend.known import KnownCells
from mps_experiments.sweep.recommend.stored import StoredRuns, fingerprints
from mps_experiments.sweep.recommend.study import Study
from mps_experiments.sweep.recommend.unused import unused_line
from mps_experiments.sweep.sweep import Sweep

_MODULE = "mps_experiments.recommend"
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
    try:
        aim = aim_of(args)
        if args.stored:
            return _choose(args, aim, typed)
        status("composing the cells and reading stored runs")
        budget_s = 60 * positive("--budget-min", _BUDGET_MIN if args.budget_min is None else args.budget_min)
        given = {key_of(text) for text in args.option}
        request = parse(_arguments(args, given))
        with contextlib.nullcontext(probe) if probe else open_probe() as gpus:
            adapts_window = not given & _SET_WINDOW
            task = _set_up(request, aim, gpus, budget_s, started, adapts_window)
            task.study.longer_window = _longer_window(given)
            return task.run(typed, gpus, lock_folder or LOCK_FOLDER)
    except ConfigError as error:
        complain(str(error))
        return EXIT_USER_ERROR
    except Interrupted as error:
        complain(str(error))
        return 128 + error.signal_number


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog=f"python -m {_MODULE}",
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
    options = {key_of(text): text.partition("=")[2] for text in args.option}
    given += [(key, value) for key, value in options.items() if key not in _PLACES]
    if given:
        raise ConfigError(*given[0], f"has no effect with {FLAG}, which measures nothing; leave it out")
    status("reading stored runs")
    output_dir = Path(options.get("output_dir", Config().output_dir)).expanduser().absolute()
    uri = args.tracking_uri or options.get("tracking.uri")
    found = find_runs(args.stored, tracking_uri=uri, output_dir=output_dir, option=FLAG)
    if found.problems:
        complain(f"stored records that cannot be read: {len(found.problems)}, such as {found.problems[0]}")
    answer = _tell(cells_of(aim, [run.measurement for run in found.runs]), _folder(output_dir), typed)
    return int(answer.chosen is None or bool(found.problems))


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


@dataclass(frozen=True, kw_only=True)
class _Task:
    """A search that is set up.

    Attributes:
        left_out: A line for each cell that no search can include.
        output_dir: Where stored runs were looked for.
        unused: How many of them do not count, and why; empty if all do.
    """

    request: Request
    grid: Grid
    agenda: SearchAgenda
    left_out: Sequence[str]
    output_dir: Path
    unused: str

    @property
    def study(self) -> Study:
        return self.agenda.study

    def run(self, typed: list[str], probe: GpuProbe, lock_folder: Path) -> int:
        """Measure what is lacking, then say, draw and write the answer."""
        terminal, code = Terminal(None), 0
        if self.unused:
            terminal.line(self.unused)
        if self.study.search.is_over(self.agenda.fits):
            folder = _folder(self.output_dir)
            if line := self.agenda.noise_line():
                terminal.line(line)
        else:
            folder = self.grid.folder
            terminal.line(self.agenda.opening_line())
            try:
                code = self._measure(typed, probe, lock_folder)
            except Interrupted:
                self.study.search.stopped = "interrupted; the same command goes on from what is stored"
                if any(self.study.runs):
                    _tell(self.study, folder, typed, self.left_out)
                raise
        answer = _tell(self.study, folder, typed, self.left_out)
        return code or int(answer.chosen is None and not self.study.lacks_hardware)

    def _measure(self, typed: list[str], probe: GpuProbe, lock_folder: Path) -> int:
        grid = SearchGrid(**vars(self.grid), agenda=self.agenda)
        request = replace(self.request, grid=grid)
        with open_sweep(
            request, typed, probe, lock_folder, make_agenda=lambda *_: self.agenda, module=_MODULE
        ) as sweep:
            sweep.can_resume = False
            sweep.varied |= {"repeat", "window_s"} if self.agenda.adapts_window else {"repeat"}
            self.agenda.begin = partial(_take_over, sweep, self.study)
            sweep.run(request)
        return sweep.exit_code


def _tell(study: KnownCells, folder: Path, typed: Sequence[str], more: Sequence[str] = ()) -> Answer:
    """Print the answer, with more lines behind it, and write it into a folder."""
    answer, terminal = Answer(study), Terminal(None)
    lines = [*answer.lines(), *more]
    lines += write_answer(study, answer, folder, lines)
    lines.append(f"the same search: {shlex.join(['python', '-m', _MODULE, *typed])}")
    for line in lines:
        terminal.line(line)
    return answer


def _folder(output_dir: Path) -> Path:
    """Return where the answer goes if nothing is measured."""
    return output_dir / "recommended" / time.strftime("%Y-%m-%d_%H-%M-%S")


def _set_up(
    request: Request, aim: Aim, probe: GpuProbe, budget_s: float, started: float, adapts_window: bool
) -> _Task:
    """Read what is stored, and rule out what cannot work on paper.

    Raises:
        ConfigError: If a cell cannot work, or there are no figures here for what is asked.
    """
    grid = request.grid
    assert grid is not None  # noqa: S101 - the command line has no flag that only shows something
    if not grid.cells:
        raise ConfigError("hydra.sweeper", "", "a search decides itself what runs; leave the sweeper out")
    plans = plan_cells(request.cells, probe, [cell.folder for cell in grid.cells])
    if all(plan.device.is_cpu for plan in plans):
        aim.refuse_without_gpu()
    clients = client_limit(cuda_version(probe.cuda_driver_version()))
    kept = [not plan.mps.enabled or plan.worker_count <= clients for plan in plans]
    if not any(kept):
        raise ConfigError("procs", "", f"an MPS server takes {clients} clients here; give {clients} at most")
    cells, left = tuple(compress(grid.cells, kept)), tuple(compress(plans, kept))
    gpus = {plan.device.gpu.uuid if plan.device.gpu else None: plan.device.gpu for plan in left}
    machines = {uuid: collect_facts(probe, gpu) for uuid, gpu in gpus.items()}
    agenda = SearchAgenda(
        study=Study(aim, cells, left, request.varied),
        machine=next(iter(machines.values())),
        budget_s=budget_s,
        started=started,
        adapts_window=adapts_window and any(limit.flag == "--p99-ms" for limit in aim.limits),
    )
    output_dir = Path(cells[0].config.output_dir).expanduser().absolute()
    unused = _read_stored(agenda, output_dir, machines)
    agenda.study.exclude_on_paper(agenda.machine)
    return _Task(
        request=request,
        grid=replace(grid, cells=cells),
        agenda=agenda,
        left_out=[
            f"excluded: {plan.name}: an MPS server takes {clients} clients here"
            for plan in plans
            if plan not in left
        ],
        output_dir=output_dir,
        unused=unused,
    )


def _read_stored(agenda: SearchAgenda, output_dir: Path, machines: Mapping[str | None, MachineFacts]) -> str:
    """Add the stored runs of all cells, and say which runs do not count.

    A window for p99 is chosen by the runs of the reference.
    """
    study, stored = agenda.study, StoredRuns(output_dir)
    if stored.problems:
        complain(f"stored records that cannot be read: {len(stored.problems)}, such as {stored.problems[0]}")
    wanted = list(fingerprints(study.cells, study.plans, machines))
    if agenda.adapts_window and (pilots := stored.of(wanted[study.search.reference])):
        agenda.adapts_window = False
        agenda.window_s = study.window_s(pilots[0].run, agenda.budget_s)
    if agenda.window_s is not None:
        axes = {"window_s": agenda.window_s}
        wanted = [replace(each, configuration=each.configuration | axes) for each in wanted]
    for arm, fingerprint in enumerate(wanted):
        for found in stored.of(fingerprint):
            study.add_stored(arm, found.run, found.path)
    return unused_line(list(stored.unused(wanted)), wanted)


def _take_over(sweep: Sweep, study: Study) -> None:
    """Let the stored runs be part of the sweep: its report, its MLflow run and its sweep.json have them."""
    ledger, folder = sweep.ledger, sweep.ledger.folder
    assert folder is not None  # noqa: S101 - the sweep was begun
    in_names = sweep.varied - {"mps", "procs", "times", "repeat"}
    for arm, path in study.stored:
        now, run = time.monotonic(), read_measurement(path)
        words = (text for text in study.cells[arm].overrides if key_of(text) in in_names)
        plan = replace(
            study.plans[arm],
            varied=(*words, f"repeat={run.cell.repeat}"),
            paths=RunPaths(folder=folder / "stored" / run.record_id),
        )
        ledger.take_over(run, path.parent, plan.name)
        ledger.log()
        ledger.note(plan, run, now, time.monotonic(), resumed_from=path)
