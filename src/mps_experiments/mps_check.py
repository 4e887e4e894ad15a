"""Whether MPS works here at all: asked of a daemon that lives for a moment, before anything is measured."""

from dataclasses import dataclass, field, replace

from mps_experiments.environment import new_daemon
from mps_experiments.errors import ConfigError, DaemonError
from mps_experiments.mps.control import CONTROL_PROGRAM, control_program
from mps_experiments.mps.folders import private_folder
from mps_experiments.mps.guardian import Guardian
from mps_experiments.plan import RunPaths, RunPlan
from mps_experiments.skip import reason_to_skip


@dataclass
class MpsCheck:
    """Starts, asks and quits a private daemon, once for each GPU that cells with MPS use."""

    guardian: Guardian
    _checked: set[str] = field(default_factory=set)

    def check(self, plan: RunPlan) -> None:
        """Nothing for a cell that uses no MPS, is skipped, or whose GPU was checked before.

        Raises:
            ConfigError: If no daemon starts or answers there: broken, not executable, not MPS at all, ...
        """
        gpu = plan.device.gpu
        if gpu is None or not plan.mps.enabled or gpu.uuid in self._checked or reason_to_skip(plan):
            return
        try:
            self._start_and_quit(plan)
        except (DaemonError, OSError) as error:
            raise ConfigError(
                "mps",
                "on",
                f"MPS does not work here: {error}; mps=off works without it; "
                f"`which {CONTROL_PROGRAM}` names {control_program()}: is it the driver's?",
            ) from error
        self._checked.add(gpu.uuid)

    def _start_and_quit(self, plan: RunPlan) -> None:
        with private_folder(self.guardian) as folder:
            here = replace(plan, paths=RunPaths(folder=folder))  # its logs are nobody's evidence
            with new_daemon(here, folder):
                pass
