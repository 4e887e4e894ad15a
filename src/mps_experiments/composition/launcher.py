"""Hydra's own launcher, made fit for long sweeps."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn


@dataclass(frozen=True, kw_only=True)
class Job:
    """One composed cell to be: Hydra's number for it and its overrides."""

    number: int
    overrides: tuple[str, ...]


# Yields jobs in the order in which they are to run. Each has run when the next one is asked for, so that what
# came out of it can decide whether more follow than were handed over.
Arrange = Callable[[Sequence[Job]], Iterator[Job]]


class SteadyLauncher(BasicLauncher):
    """Runs the cells in this process, one by one, in the order that the task asks for.

    A task function with a method ``arrange`` (see `Arrange`) gets all jobs and decides their order. Hydra
    itself ends the whole sweep with a page of text where it cannot write the files of one cell (a full disk),
    and keeps two copies of the configuration of every cell until the end.
    """

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        jobs = [
            Job(number=number, overrides=tuple(overrides))
            for number, overrides in enumerate(job_overrides, start=initial_job_idx)
        ]
        arrange: Arrange = getattr(self.task_function, "arrange", iter)
        return [returned for job in arrange(jobs) for returned in self._launch_one(job)]

    def _launch_one(self, job: Job) -> Sequence[JobReturn]:
        try:
            finished = super().launch([job.overrides], job.number)
        except OSError as error:
            reason = f"its folder cannot be written ({error.strerror or error})"
            sys.stderr.write(f"mps_experiments: {' '.join(job.overrides)}: REFUSED: {reason}\n")
            return []
        for each in finished:
            each.cfg = each.hydra_cfg = None
        return finished


def register_launcher() -> None:
    """Let Hydra take it for its basic launcher; one that the user names stays what it is."""
    name = f"{BasicLauncher.__module__}.{BasicLauncher.__name__}"
    Plugins.instance().class_name_to_class[name] = SteadyLauncher
