"""The program: read the command line, refuse or run, answer with an exit code."""

import sys
from collections.abc import Callable
from typing import Any

from mps_experiments.config.cells import parse
from mps_experiments.config.schema import CONFIG_NAME, conf_dir
from mps_experiments.machine.gpus import open_probe
from mps_experiments.machine.lock_file import LOCK_FOLDER
from mps_experiments.machine.signals import catch_signals
from mps_experiments.report.command_line import as_command
from mps_experiments.sweep.opening import open_sweep


@as_command
def main(probe: Any = None, lock_folder: Any = None, can_resume: bool = True) -> int:
    """Run the command line in `sys.argv`.

    Args:
        probe: A `machine.gpus.GpuProbe`; None asks NVML.
        lock_folder: Where the locks of GPUs are, a Path; None for the place that all sweeps share.
        can_resume: Whether the command takes resume=true once it was interrupted.

    Returns:
        0 if every cell is VALID, or SKIPPED for want of hardware; 1 if not; 2 for a user's mistake; 128 + the
        signal's number if one ended the sweep. (`run_and_exit` adds 74 and 141 for what cannot be printed.)
    """
    catch_signals()
    arguments = sys.argv[1:]
    request = parse(arguments)
    if request.grid is None:
        _run_hydra(lambda _: None)  # Hydra never calls the task of a command that only shows something
        return 0
    with (
        open_probe(probe) as gpus,
        open_sweep(request, arguments, gpus, lock_folder or LOCK_FOLDER) as sweep,
    ):
        sweep.can_resume = can_resume
        if request.cells:
            sweep.run(request)
        else:  # a sweeper that decides as it goes
            _run_hydra(sweep)
    return sweep.exit_code


def _run_hydra(task: Callable[[Any], None]) -> None:
    import hydra

    hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=CONFIG_NAME)(task)()
