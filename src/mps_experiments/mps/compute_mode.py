"""Change the GPU's compute mode through ``nvidia-smi``, and put the earlier one back."""

import os
import shutil
import subprocess

from mps_experiments.errors import DaemonError
from mps_experiments.machine.cell_variables import passed_on

EXCLUSIVE_PROCESS = "EXCLUSIVE_PROCESS"


def set_compute_mode(uuid: str, mode: str, timeout_s: float) -> None:
    """Set the compute mode of one GPU.

    Args:
        uuid: UUID of the GPU.
        mode: A mode of nvidia-smi, such as ``DEFAULT`` or ``EXCLUSIVE_PROCESS``.
        timeout_s: Seconds that nvidia-smi has.

    Raises:
        DaemonError: If nvidia-smi is missing, refuses (it needs root) or does not answer.
    """
    program = shutil.which("nvidia-smi")
    if program is None:
        raise DaemonError(f"nvidia-smi is not on PATH, so the compute mode cannot be set to {mode}")
    try:
        result = subprocess.run(
            [program, "-i", uuid, "-c", mode.upper()],
            env=passed_on(os.environ),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DaemonError(f"nvidia-smi could not set the compute mode to {mode}: {error}") from error
    if result.returncode != 0:
        said = " ".join((result.stdout + result.stderr).split())
        raise DaemonError(f"nvidia-smi refused the compute mode {mode}: {said}")
