"""Change the GPU's compute mode through ``nvidia-smi``, and put the earlier one back."""

import shutil
import subprocess

from mps_experiments.errors import DaemonError

EXCLUSIVE_PROCESS = "EXCLUSIVE_PROCESS"
_TIMEOUT_S = 30.0


def set_compute_mode(uuid: str, mode: str) -> None:
    """Set the compute mode of one GPU, for example ``DEFAULT`` or ``EXCLUSIVE_PROCESS``.

    Raises:
        DaemonError: If nvidia-smi is missing, refuses (it needs root) or does not answer.
    """
    program = shutil.which("nvidia-smi")
    if program is None:
        raise DaemonError(f"nvidia-smi is not on PATH, so the compute mode cannot be set to {mode}")
    try:
        result = subprocess.run(
            [program, "-i", uuid, "-c", mode.upper()],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DaemonError(f"nvidia-smi could not set the compute mode to {mode}: {error}") from error
    if result.returncode != 0:
        said = " ".join((result.stdout + result.stderr).split())
        raise DaemonError(f"nvidia-smi refused the compute mode {mode}: {said}")
