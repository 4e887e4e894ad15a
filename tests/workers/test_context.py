"""How worker processes are started."""

from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext, SpawnContext
from typing import Any

from mps_experiments.workers.context import process_context


def test_a_start_method_gives_its_context() -> None:
    assert isinstance(process_context("spawn"), SpawnContext)
    assert isinstance(process_context("forkserver"), ForkServerContext)


def test_one_fork_server_serves_all_cells_and_has_what_workers_import() -> None:
    server: Any = forkserver._forkserver
    process_context("forkserver")
    pid = server._forkserver_pid
    process_context("forkserver")
    assert pid is not None
    assert server._forkserver_pid == pid
    assert {"torch", "torchvision", "mps_experiments.workers.child"} <= set(server._preload_modules)
