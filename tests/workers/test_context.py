"""How worker processes are started."""

from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext, SpawnContext
from pathlib import Path
from typing import Any

from mps_experiments.workers.context import process_context
from tests.conftest import run_python


def test_one_fork_server_serves_all_cells_and_has_what_workers_import() -> None:
    server: Any = forkserver._forkserver
    assert isinstance(process_context("spawn"), SpawnContext)
    assert isinstance(process_context("forkserver"), ForkServerContext)
    pid = server._forkserver_pid
    process_context("forkserver")
    assert pid is not None
    assert server._forkserver_pid == pid
    assert {"torch", "torchvision", "mps_experiments.workers.child"} <= set(server._preload_modules)


LEAVING = """\
import multiprocessing, os
from mps_experiments.workers.context import process_context

def leave():
    context = multiprocessing.get_context("spawn")
    semaphore = context.Lock()
    os._exit(0)

if __name__ == "__main__":
    process = process_context("spawn").Process(target=leave)
    process.start()
    process.join()
    print(process.exitcode)
"""


def test_semaphores_that_a_worker_leaves_are_removed_without_a_word(tmp_path: Path) -> None:
    (tmp_path / "leaving.py").write_text(LEAVING)
    done = run_python("leaving.py", cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("0\n", "")
