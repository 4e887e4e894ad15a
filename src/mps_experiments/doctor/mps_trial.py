"""``--try-mps``: a private daemon for a moment, as the program itself starts one before each sweep."""

from collections.abc import Iterator
from pathlib import Path

from mps_experiments.doctor.finding import Finding, fail, ok
from mps_experiments.environment import DAEMON_TIMEOUTS
from mps_experiments.errors import DaemonError
from mps_experiments.machine.gpus import Gpu
from mps_experiments.mps.daemon import DaemonTimeouts, MpsDaemon
from mps_experiments.mps.folders import private_folder
from mps_experiments.mps.guardian import Guardian

_NAME = "MPS tried"


def trial_findings(program: Path, gpu: Gpu, timeouts: DaemonTimeouts = DAEMON_TIMEOUTS) -> Iterator[Finding]:
    """Start, ask and quit a daemon in a private folder; nothing of it stays.

    Args:
        program: The control program.
        gpu: For whose clients it would be.
        timeouts: Deadlines.
    """
    try:
        with Guardian() as guardian, private_folder(guardian) as folder:
            logs = {"control_log": folder / "control.log", "server_log": folder / "server.log"}
            with MpsDaemon(program=program, folder=folder, gpu_uuid=gpu.uuid, timeouts=timeouts, **logs):
                pass
    except (DaemonError, OSError) as error:
        todo = f"is {program} the driver's? See `dmesg | grep NVRM`; mps=off works without MPS"
        yield fail(_NAME, str(error), todo)
    else:
        yield ok(_NAME, "a private daemon started, answered and quit")


def trial_timeout_s(timeouts: DaemonTimeouts = DAEMON_TIMEOUTS) -> float:
    """The most seconds that all of it can take, deadline after deadline."""
    return timeouts.start_s + 2 * timeouts.command_s + 8 * timeouts.quit_s
