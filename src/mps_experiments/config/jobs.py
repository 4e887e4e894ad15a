"""Run composed cells as Hydra's jobs, with the files and callbacks that its users expect."""

import contextlib
from collections.abc import Callable, Iterator

from hydra.core.utils import JobReturn, JobStatus, configure_log, run_job
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf

from mps_experiments.config.cells import Grid
from mps_experiments.config.composer import Cell
from mps_experiments.config.internals import Callbacks
from mps_experiments.config.places import unwritable

Task = Callable[[DictConfig], None]
RunJob = Callable[[Cell, Task], None]


@contextlib.contextmanager
def hydra_jobs(grid: Grid, multirun: bool) -> Iterator[RunJob]:
    """Do around the jobs what Hydra does, and yield what runs one of them.

    A job's folder gets ``.hydra``, a sweep's ``multirun.yaml``. An error of a task is raised after the last
    job.

    Raises:
        ConfigError: If the sweep's folder cannot be written.
        OSError: From a job whose folder cannot be written.
    """
    master, failed = grid.composer.master, list[JobReturn]()
    configure_log(master.hydra.hydra_logging, master.hydra.verbose)
    callbacks = Callbacks(master)
    context = HydraContext(config_loader=grid.composer.loader, callbacks=callbacks)
    about = {"config": master, "config_name": master.hydra.job.config_name}

    def run(cell: Cell, task: Task) -> None:
        done = run_job(
            task_function=task,
            config=cell.composed(),
            job_dir_key="hydra.sweep.dir" if multirun else "hydra.run.dir",
            job_subdir_key="hydra.sweep.subdir" if multirun else None,
            hydra_context=context,
        )
        configure_log(master.hydra.hydra_logging, master.hydra.verbose)
        if done.status is JobStatus.FAILED:
            failed.append(done)

    if not multirun:
        callbacks.on_run_start(**about)
        yield run
        callbacks.on_run_end(**about, job_return=failed[0] if failed else JobReturn())
    else:
        callbacks.on_multirun_start(**about)
        try:
            grid.folder.mkdir(parents=True, exist_ok=True)
            OmegaConf.save(master, grid.folder / "multirun.yaml")
        except OSError as error:
            raise unwritable("hydra.sweep.dir", grid.folder, error) from error
        yield run
        callbacks.on_multirun_end(**about)
    for each in failed:
        each.return_value  # noqa: B018 - raises
