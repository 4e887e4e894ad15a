"""The command line on a machine with one GPU that is not there: its workers compute on the CPU."""

import sys

from mps_experiments.cli import main
from mps_experiments.machine.gpus import FixedProbe
from tests.fakes.plans import FAKE_GPU

if __name__ == "__main__":
    sys.exit(main(FixedProbe((FAKE_GPU,))))
