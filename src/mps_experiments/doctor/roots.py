"""Where the doctor looks at the machine; tests give folders of their own."""

from dataclasses import dataclass
from pathlib import Path

from mps_experiments.machine.lock_file import LOCK_FOLDER


@dataclass(frozen=True, kw_only=True)
class Roots:
    """Places that the kernel and other sweeps fill."""

    proc: Path = Path("/proc")
    sys: Path = Path("/sys")
    dev: Path = Path("/dev")
    locks: Path = LOCK_FOLDER
