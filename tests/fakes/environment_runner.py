"""A runner that opens the environment of one run, says where, and waits to be killed.

``environment_runner.py FOLDER [exclusive]``: FOLDER is the run's folder.
"""

import json
import os
import sys
from pathlib import Path

from mps_experiments.config.schema import ComputeMode
from mps_experiments.machine.gpus import FixedProbe
from mps_experiments.mps.guardian import Guardian
from mps_experiments.run.environment import open_environment
from tests.fakes.client import PIPE_DIRECTORY, Attachment
from tests.fakes.plans import run_plan


def main() -> None:
    """Open, attach as a client, report, wait."""
    mode = ComputeMode.exclusive_process if "exclusive" in sys.argv else ComputeMode.keep
    plan = run_plan(Path(sys.argv[1]), mps={"compute_mode": mode})
    with Guardian() as guardian, open_environment(plan, FixedProbe(), guardian) as environment:
        os.environ[PIPE_DIRECTORY] = environment.variables[PIPE_DIRECTORY]
        with Attachment() as attachment:
            report = {
                "pipe_dir": environment.variables[PIPE_DIRECTORY],
                "guardian": guardian.pid,
                "is_on": attachment.is_on,
            }
            sys.stdout.write(json.dumps(report) + "\n")
            sys.stdout.flush()
            sys.stdin.read()


if __name__ == "__main__":
    main()
