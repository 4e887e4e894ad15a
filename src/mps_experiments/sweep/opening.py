"""Open a sweep: refuse what cannot work, take the GPU, tidy up, and only then let the first cell begin."""

import contextlib
import gc
import multiprocessing.util
import os
import shlex
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from mps_experiments.analysis.gains import gains
from mps_experiments.analysis.numbers import moment
from mps_experiments.config.cells import Request
from mps_experiments.config.schema import AUTO, Config
from mps_experiments.errors import Interrupted, interruption_in
from mps_experiments.machine.cell_variables import describe, not_passed_on
from mps_experiments.machine.core_locks import CoreLocks
from mps_experiments.machine.gpu_lock import GpuLocks
from mps_experiments.machine.gpus import GpuProbe
from mps_experiments.mps.folders import parent_folder, remove_stale_folders
from mps_experiments.mps.guardian import Guardian
from mps_experiments.record.axes import key_of
from mps_experiments.report.terminal import Terminal, announce, status
from mps_experiments.run.mps_check import MpsCheck
from mps_experiments.run.plan import RunPlan
from mps_experiments.run.skip import reason_to_skip
from mps_experiments.run.trials import count_runs
from mps_experiments.run.workload import SMALL_MODEL
from mps_experiments.sweep.agenda import Agenda, agenda_of
from mps_experiments.sweep.forecast import Forecast, opening_line
from mps_experiments.sweep.ledger import Ledger
from mps_experiments.sweep.preflight import (
    check_run_folder,
    hold_run_folder,
    lock_gpus,
    look_at_output_dir,
    plan_cells,
    prepare,
    take_cores,
)
from mps_experiments.sweep.sweep import Sweep
from mps_experiments.tracking.addresses import variables_line
from mps_experiments.tracking.tracker import SweepInfo

_STALE_TIMEOUT_S = 5.0  # daemons of the dead: they serve nobody, so being killed early costs nothing


@contextlib.contextmanager
def open_sweep(
    request: Request,
    arguments: list[str],
    probe: GpuProbe,
    lock_folder: Path,
    make_agenda: Callable[..., Agenda] = agenda_of,
    module: str = "mps_experiments",
) -> Iterator[Sweep]:
    """Refuse what cannot work, then open all that the cells share; the tables come when the block is left.

    Args:
        request: What is asked for.
        arguments: As they were typed.
        probe: The machine's GPUs.
        lock_folder: Where locks are.
        make_agenda: Makes the order of the runs, called as `agenda_of` is.
        module: What they were typed for.

    Raises:
        ConfigError: If any cell of the sweep cannot work, or another sweep has the GPU. Nothing has been
            started on the GPU, but a daemon for a moment to see whether MPS works.
    """
    started = time.monotonic()
    status("checking GPUs, MPS, the workload and the tracking store")
    grid = request.grid
    assert grid is not None  # noqa: S101 - a request that runs nothing opens no sweep
    config = request.cells[0] if request.cells else grid.composer.config
    plans = plan_cells(request.cells, probe, [cell.folder for cell in grid.cells])
    look_at_output_dir(config)  # first: the folders of runs are below it, and it is what a user names
    folder_option = "hydra.sweep.dir" if request.multirun else "hydra.run.dir"
    check_run_folder(folder_option, grid.folder)
    agenda = make_agenda(request, plans, gains, started)
    info = _info(request, arguments, plans, module)
    runs_all = make_agenda is agenda_of  # another agenda may stop before all cells have run
    count, forecast = count_runs(plans), Forecast.of(plans if runs_all else ())
    terminal = Terminal(count or None)
    with contextlib.ExitStack() as stack:
        locks = stack.enter_context(GpuLocks(info.command, terminal.line, lock_folder))
        lock_gpus(locks, plans)  # first: whatever costs time would show in what another sweep measures
        cores = stack.enter_context(CoreLocks(info.command, terminal.line, lock_folder))
        take_cores(cores, plans, probe)  # before the fork server: its children are to keep off others' cores
        guardian = stack.enter_context(_guardian())
        mps_check = MpsCheck(guardian, probe.cuda_driver_version())
        _tidy_and_check_mps(plans, mps_check, terminal)
        announce("checking the workload and the tracking store")  # seconds; a refusal so far is the only line
        prepared = prepare(config, plans)
        hold = partial(hold_run_folder, stack, folder_option)
        if request.cells:  # a sweeper that decides as it goes names its folder with its first cell
            hold(grid.folder)
        for line in (*prepared.remarks, *_remarks(config, request, arguments, plans)):
            terminal.line(line)
        skipped = Counter(skip.reason for plan in plans if (skip := reason_to_skip(plan)))
        if count > 1:
            for reason, number in skipped.items():
                terminal.line(f"SKIPPED: {number} of {count} runs: {reason}")
            if runs_all and (left := count - skipped.total()):
                budget_min = agenda.goal.budget_s / 60 if agenda.goal else None
                terminal.line(opening_line(left, forecast, budget_min, config.resume, len(agenda.twins)))
        stack.enter_context(terminal)
        sweep = Sweep(
            ledger=Ledger(info, prepared.tracker, order=agenda.summary()),
            probe=probe,
            guardian=guardian,
            locks=locks,
            cores=cores,
            mps_check=mps_check,
            terminal=terminal,
            agenda=agenda,
            hold=hold,
            weights_sha256=prepared.weights_sha256,
            plans=plans,
            varied=request.varied | ({"repeat"} if agenda.goal else set()),
            planned=len(plans),
            forecast=forecast,
            told_skips=frozenset(skipped) if count > 1 else frozenset(),
            writes_report=request.multirun and all(cell.report for cell in request.cells or [config]),
        )
        sweep.ledger.start()
        gc.freeze()  # what is imported by now stays: searching it for garbage took 0.4 s every few cells
        try:
            yield sweep
        except (Exception, Interrupted) as error:
            sweep.interruption = interruption_in(error)
            raise
        finally:
            gc.unfreeze()
            sweep.finish()


def _remarks(
    config: Config, request: Request, arguments: Sequence[str], plans: Sequence[RunPlan]
) -> Iterator[str]:
    """Yield what a user may not expect: the store, the device, the model, a window without effect."""
    if line := variables_line(config.tracking, os.environ):
        yield line
    if plans and plans[0].device.is_cpu:
        yield "no GPU in use: the same pipeline runs on the CPU"
    elif line := describe(not_passed_on(os.environ)):
        yield line
    typed = [text for text in arguments if key_of(text) == "window_s"]
    times = dict.fromkeys(str(cell.times) for cell in request.cells)
    if typed and times and AUTO not in times:
        yield f"{typed[-1]} has no effect with times={','.join(times)}; times=auto measures for a time"
    pairs = zip(request.cells, plans, strict=True)
    if any(cell.workload.model == AUTO and plan.workloads[0].model == SMALL_MODEL for cell, plan in pairs):
        yield (
            f"no model is named: on the CPU that means a small one, {SMALL_MODEL}; "
            "workload=maskrcnn (slow there), workload=resnet50 or workload.model=... names another"
        )


@contextlib.contextmanager
def _guardian() -> Iterator[Guardian]:
    """Start the guardian, also of what multiprocessing keeps for the fork server."""
    temporary = Path(multiprocessing.util.get_temp_dir())
    with Guardian() as guardian, guardian.covering(temporary):
        yield guardian


def _tidy_and_check_mps(plans: Sequence[RunPlan], mps_check: MpsCheck, terminal: Terminal) -> None:
    for folder in remove_stale_folders(parent_folder(), _STALE_TIMEOUT_S):
        terminal.line(f"removed what a dead runner left: {folder}")
    for plan in plans:
        mps_check.check(plan)


def _info(request: Request, arguments: list[str], plans: Sequence[RunPlan], module: str) -> SweepInfo:
    model = plans[0].workloads[0].model if plans else "sweep"
    return SweepInfo(
        sweep_id=uuid.uuid4().hex,
        name=f"{model} {moment(time.time())}",
        command=shlex.join(["python", "-m", module, *arguments]),
        is_sweep=request.multirun,
    )
