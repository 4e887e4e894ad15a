"""How multiprocessing starts worker processes."""

import multiprocessing
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import ForkServerContext, SpawnContext

from mps_experiments.signals import blocked_for_children

_PRELOAD = [
    "mps_experiments.workers.forkserver_lifeline",  # first: the others take seconds
    "torch",
    "torchvision",
    "mps_experiments.workers.child",
    "mps_experiments.workloads.vision",
    "mps_experiments.workloads.loading",
]


def process_context(start_method: str) -> ForkServerContext | SpawnContext:
    """The multiprocessing context; with ``forkserver`` its server starts importing torch at once."""
    if start_method == "spawn":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOAD)
    resource_tracker.ensure_running()  # first: starting it lets SIGINT through again
    with blocked_for_children():  # Ctrl-C must not reach the server while it imports torch
        forkserver.ensure_running()
    return context
