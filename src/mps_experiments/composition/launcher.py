"""Hydra's own launcher, made fit for long sweeps."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, cast

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.config_loader import ConfigLoader
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.types import HydraContext
from omegaconf import DictConfig


@dataclass(frozen=True, kw_only=True)
class Job:
    """One composed cell to be: Hydra's number for it and its overrides.

    Attributes:
        following: Overrides of the job that comes next; None where that is not known yet.
    """

    number: int
    overrides: tuple[str, ...]
    following: tuple[str, ...] | None = field(default=None, compare=False)


# Yields jobs in the order in which they are to run. Each has run when the next one is asked for, so that what
# came out of it can decide whether more follow than were handed over.
Arrange = Callable[[Sequence[Job]], Iterator[Job]]


@dataclass
class _AheadLoader:
    """Hydra's loader for a launcher, which can compose one cell before it is asked for it."""

    loader: ConfigLoader
    _ahead: dict[tuple[str, ...], DictConfig] = field(default_factory=dict)

    def compose(self, master: DictConfig, overrides: tuple[str, ...]) -> None:
        """Compose a cell ahead. A mistake in it shows, as ever, when its turn comes."""
        self._ahead.clear()
        with suppress(Exception):
            self._ahead[overrides] = self.loader.load_sweep_config(master, list(overrides))

    def load_sweep_config(self, master: DictConfig, overrides: list[str]) -> DictConfig:
        """Hand over what was composed ahead; it belongs to one job, which changes it."""
        composed = self._ahead.pop(tuple(overrides), None)
        return self.loader.load_sweep_config(master, overrides) if composed is None else composed


class SteadyLauncher(BasicLauncher):
    """Runs the cells in this process, one by one, in the order that the task asks for.

    A task function with a method ``arrange`` (see `Arrange`) gets all jobs and decides their order. One with
    a method ``meanwhile`` is handed, before a job, what can be done while that only waits: composing the next
    cell, which takes Hydra 0.1 to 0.2 s. Hydra itself ends the whole sweep with a page of text where it
    cannot write the files of one cell (a full disk), and keeps two copies of the configuration of every cell
    until the end.
    """

    def setup(self, *, hydra_context: HydraContext, **more: Any) -> None:
        self._loader = _AheadLoader(hydra_context.config_loader)
        super().setup(
            hydra_context=replace(hydra_context, config_loader=cast(ConfigLoader, self._loader)), **more
        )

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        jobs = [
            Job(number=number, overrides=tuple(overrides))
            for number, overrides in enumerate(job_overrides, start=initial_job_idx)
        ]
        arrange: Arrange = getattr(self.task_function, "arrange", iter)
        return [returned for job in arrange(jobs) for returned in self._launch_one(job)]

    def _launch_one(self, job: Job) -> Sequence[JobReturn]:
        self._compose_ahead(job.following)
        try:
            finished = super().launch([job.overrides], job.number)
        except OSError as error:
            reason = f"its folder cannot be written ({error.strerror or error})"
            sys.stderr.write(f"mps_experiments: {' '.join(job.overrides)}: REFUSED: {reason}\n")
            return []
        for each in finished:
            each.cfg = each.hydra_cfg = None
        return finished

    def _compose_ahead(self, overrides: tuple[str, ...] | None) -> None:
        """Let the task compose this cell beside the one before; no-op where it would become another there."""
        if overrides is None or self.config is None:
            return
        if self.config.hydra.job.env_set or self.config.hydra.job.chdir:
            return
        cast(Any, self.task_function).meanwhile(partial(self._loader.compose, self.config, overrides))


def register_launcher() -> None:
    """Let Hydra take it for its basic launcher; one that the user names stays what it is."""
    name = f"{BasicLauncher.__module__}.{BasicLauncher.__name__}"
    Plugins.instance().class_name_to_class[name] = SteadyLauncher
