"""The command line on a machine with two GPUs that are not there: their workers compute on the CPU.

Locks of GPUs are in TMPDIR, so that test sessions with folders of their own never wait for one another.
"""

import sys
import tempfile
from pathlib import Path

from mps_experiments.machine.gpus import FixedProbe
from mps_experiments.sweep.program import main
from tests.fakes.plans import FAKE_GPU, SECOND_GPU

if __name__ == "__main__":
    lock_folder = Path(tempfile.gettempdir()) / "locks"
    lock_folder.mkdir(exist_ok=True)
    sys.exit(main(FixedProbe((FAKE_GPU, SECOND_GPU)), lock_folder))
