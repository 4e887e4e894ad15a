"""Try MPS before anything is measured: does a daemon work here, and how many clients does a server take?"""

from dataclasses import dataclass, field, replace

from mps_experiments.errors import ConfigError, DaemonError
from mps_experiments.mps.control import CONTROL_PROGRAM, control_program
from mps_experiments.mps.folders import private_folder
from mps_experiments.mps.guardian import Guardian
from mps_experiments.mps.logs import client_limit, control_version, cuda_version
from mps_experiments.record.run_paths import RunPaths
from mps_experiments.run.environment import new_daemon
from mps_experiments.run.plan import RunPlan
from mps_experiments.run.skip import reason_to_skip


@dataclass
class MpsCheck:
    """Tries a private daemon once for each GPU that cells with MPS use.

    Attributes:
        guardian: Cleans up after the daemon if this process dies.
        cuda_version: The driver's CUDA version, used if the daemon does not log its own.
    """

    guardian: Guardian
    cuda_version: str | None = None
    _limits: dict[str, int] = field(default_factory=dict)

    def check(self, plan: RunPlan) -> None:
        """Refuse a cell with MPS that cannot work. No-op for cells without MPS and for skipped ones.

        Raises:
            ConfigError: If no daemon starts or answers, or if the cell has more workers than a server takes
                clients.
        """
        gpu = plan.device.gpu
        if gpu is None or not plan.mps.enabled or reason_to_skip(plan):
            return
        if gpu.uuid not in self._limits:
            self._limits[gpu.uuid] = self._try(plan)
        limit = self._limits[gpu.uuid]
        if plan.worker_count > limit:
            what = f"an MPS server takes {limit} clients here; give {limit} at most"
            raise ConfigError("procs", plan.worker_count, what)

    def _try(self, plan: RunPlan) -> int:
        """Start and quit a daemon, and return how many clients its server would take."""
        try:
            with private_folder(self.guardian) as folder:
                here = replace(plan, paths=RunPaths(folder=folder))  # its logs belong to no record
                with new_daemon(here, folder):
                    pass
                version = control_version(here.paths.control_log.read_text())
        except (DaemonError, OSError) as error:
            raise ConfigError(
                "mps",
                "on",
                f"MPS does not work here: {error}; mps=off works without it; "
                f"`which {CONTROL_PROGRAM}` names {control_program()}: is it the driver's?",
            ) from error
        return client_limit(version or cuda_version(self.cuda_version))
