"""``--try-mps``: a private daemon for a moment, as the program itself starts one before each sweep."""

from collections.abc import Iterator
from pathlib import Path

from mps_experiments.config import MpsConfig
from mps_experiments.doctor.finding import Finding, fail, ok
from mps_experiments.errors import DaemonError
from mps_experiments.machine.gpus import Gpu
from mps_experiments.mps.daemon import DaemonTimeouts, MpsDaemon
from mps_experiments.mps.folders import private_folder
from mps_experiments.mps.guardian import Guardian

_NAME = "MPS tried"


def trial_findings(program: Path, gpu: Gpu, options: MpsConfig | None = None) -> Iterator[Finding]:
    """Start, ask and quit a daemon in a private folder; nothing of it stays.

    Args:
        program: The control program.
        gpu: For whose clients it would be.
        options: Deadlines; None for the program's defaults.
    """
    limits = options or MpsConfig()
    timeouts = DaemonTimeouts(
        start_s=limits.start_timeout_s, command_s=limits.command_timeout_s, quit_s=limits.quit_timeout_s
    )
    try:
        with Guardian(limits.guardian_timeout_s) as guardian, private_folder(guardian) as folder:
            logs = {"control_log": folder / "control.log", "server_log": folder / "server.log"}
            with MpsDaemon(program=program, folder=folder, gpu_uuid=gpu.uuid, timeouts=timeouts, **logs):
                pass
    except (DaemonError, OSError) as error:
        todo = f"is {program} the driver's? See `dmesg | grep NVRM`; mps=off works without MPS"
        yield fail(_NAME, str(error), todo)
    else:
        yield ok(_NAME, "a private daemon started, answered and quit")


def trial_timeout_s(options: MpsConfig | None = None) -> float:
    """The most seconds that all of it can take, deadline after deadline."""
    limits = options or MpsConfig()
    return limits.start_timeout_s + 2 * limits.command_timeout_s + 8 * limits.quit_timeout_s
