"""How multiprocessing starts worker processes, and what its fork server has imported for them."""

import contextlib
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Sequence
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import ForkServerContext, SpawnContext
from typing import Any

from mps_experiments.errors import RunError
from mps_experiments.signals import blocked_for_children
from mps_experiments.workers import preloading
from mps_experiments.workers.errand import ask_child
from mps_experiments.workers.messages import Preloaded
from mps_experiments.workers.preloading import preload_words

_PRELOAD = [
    "mps_experiments.workers.forkserver_lifeline",  # first: the others take seconds
    "torch",
    "torchvision",
    "mps_experiments.workers.child",
    "mps_experiments.workloads.vision",
    "mps_experiments.workloads.loading",
]
_END_TIMEOUT_S = 30.0
_POLL_S = 0.005
_server: Any = forkserver._forkserver  # multiprocessing has no way to ask for its pid
_wanted: list[str] = list(_PRELOAD)


def process_context(
    start_method: str, preload: Sequence[str] | None = None
) -> ForkServerContext | SpawnContext:
    """Return the multiprocessing context; with ``forkserver`` its server starts importing torch at once.

    Args:
        start_method: ``forkserver`` or ``spawn``.
        preload: What the fork server imports beside torch. One that runs with another list is ended and
            started anew, so no worker may be alive. None takes it as it is.

    Raises:
        OSError: If no fork server can be started.
    """
    _start_tracker()
    if start_method == "spawn":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    if preload is not None and (words := [*_PRELOAD, *preload_words(preload)]) != _wanted:
        _end_server()
        _wanted[:] = words
    context.set_forkserver_preload(list(_wanted))
    with blocked_for_children():  # Ctrl-C must not reach the server while it imports torch
        forkserver.ensure_running()
    return context


def _start_tracker() -> None:
    """Start multiprocessing's tracker, which removes semaphores that ended workers left; it need not say so.

    It is started before the fork server, since starting it lets SIGINT through again.
    """
    quiet = "ignore:resource_tracker:UserWarning"
    sys.warnoptions.append(quiet)  # multiprocessing hands these on
    try:
        resource_tracker.ensure_running()
    finally:
        sys.warnoptions.remove(quiet)


def without_harm(preload: Sequence[str], timeout_s: float) -> dict[str, str]:
    """See to it that the fork server has these modules as far as workers can bear it.

    Args:
        preload: As for `process_context`, which may have begun with it.
        timeout_s: For the imports.

    Returns:
        Module -> why it is not preloaded.
    """
    problems: dict[str, str] = {}
    left, is_settled = list(preload), not preload
    while not is_settled:
        answer = _answer(left, timeout_s)
        problems |= answer.problems
        if answer.spoilt:
            left = [name for name in left if name not in answer.problems]
            process_context("forkserver", left)
        is_settled = not (answer.spoilt and left)
    return problems


def _answer(preload: Sequence[str], timeout_s: float) -> Preloaded:
    try:
        answer = ask_child(process_context("forkserver", preload), preloading.report, (), timeout_s)
    except TimeoutError:
        reason = f"not imported within {timeout_s:g} s"
    except (EOFError, OSError, RunError) as error:
        reason = f"the fork server ends when it is imported ({error})"
    else:
        assert isinstance(answer, Preloaded)  # noqa: S101 - a report sends nothing else
        return answer
    return Preloaded(problems=dict.fromkeys(preload, reason), spoilt=True)


def _end_server() -> None:
    """End the fork server, if one runs; the next start reaps it."""
    pid = _server._forkserver_pid
    if pid is None:
        return
    deadline = time.monotonic() + _END_TIMEOUT_S
    with contextlib.suppress(ProcessLookupError, ChildProcessError):  # somebody reaped it
        os.kill(pid, signal.SIGKILL)
        while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the fork server {pid} does not end")
            time.sleep(_POLL_S)
