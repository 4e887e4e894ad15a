"""A runner that locks a GPU, has children of every kind that a runner has, says so, and waits to be ended.

``lock_holder.py FOLDER UUID``: FOLDER is where the locks are.
"""

import json
import multiprocessing
import signal
import subprocess
import sys
from pathlib import Path

from mps_experiments.machine.gpu_lock import GpuLocks

COMMAND = "python -m mps_experiments procs=2"


def main() -> None:
    """Lock, start children that outlive this process, report, wait."""
    with GpuLocks(COMMAND, sys.exit, Path(sys.argv[1])) as locks:
        locks.acquire(sys.argv[2], 0.0)
        pause = [sys.executable, "-c", "import signal; signal.pause()"]
        with subprocess.Popen(pause, start_new_session=True) as child:
            workers = [
                multiprocessing.get_context("forkserver").Process(target=signal.pause, daemon=True),
                multiprocessing.get_context("spawn").Process(target=signal.pause, daemon=True),
            ]
            for worker in workers:
                worker.start()
            sys.stdout.write(json.dumps([child.pid, *[worker.pid for worker in workers]]) + "\n")
            sys.stdout.flush()
            sys.stdin.read()
            child.kill()


if __name__ == "__main__":
    main()
