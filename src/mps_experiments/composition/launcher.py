"""Hydra's own launcher, made fit for long sweeps."""

import sys
from collections.abc import Sequence

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn


class SteadyLauncher(BasicLauncher):
    """Runs the cells in this process, one by one.

    Hydra ends the whole sweep with a page of text where it cannot write the files of one cell (a full disk),
    and keeps two copies of the configuration of every cell until the end.
    """

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        return [
            returned
            for number, overrides in enumerate(job_overrides, start=initial_job_idx)
            for returned in self._launch_one(overrides, number)
        ]

    def _launch_one(self, overrides: Sequence[str], number: int) -> Sequence[JobReturn]:
        try:
            finished = super().launch([overrides], number)
        except OSError as error:
            reason = f"its folder cannot be written ({error.strerror or error})"
            sys.stderr.write(f"mps_experiments: {' '.join(overrides)}: REFUSED: {reason}\n")
            return []
        for each in finished:
            each.cfg = each.hydra_cfg = None
        return finished


def register_launcher() -> None:
    """Let Hydra take it for its basic launcher; one that the user names stays what it is."""
    name = f"{BasicLauncher.__module__}.{BasicLauncher.__name__}"
    Plugins.instance().class_name_to_class[name] = SteadyLauncher
