"""Start child processes by multiprocessing, from a fork server that has imported torch for them."""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from typing import Any

from mps_experiments.errors import RunError
from mps_experiments.machine.signals import blocked_for_children
from mps_experiments.workers import preloading
from mps_experiments.workers.messages import FromWorker, Preloaded, receive_from_worker

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
_KILL_TIMEOUT_S = (
    10.0  # no option: a child that is asked uses no GPU, and dies with this process at the latest
)
_server: Any = forkserver._forkserver  # multiprocessing has no way to ask for its pid
_wanted: list[str] = []  # what the server imports beside these


def process_context(
    start_method: str, preload: Sequence[str] | None = None
) -> ForkServerContext | SpawnContext:
    """Return the multiprocessing context; with ``forkserver``, start its server, which imports torch.

    Args:
        start_method: ``forkserver`` or ``spawn``.
        preload: Modules that the fork server imports beside torch. A server that runs with another list is
            ended and started again, so no worker may be alive. None keeps the server as it is.

    Raises:
        OSError: If no fork server can be started.
    """
    _start_tracker()
    if start_method == "spawn":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    if preload is not None and [*preload] != _wanted:
        _end_server()
        _wanted[:] = preload
    context.set_forkserver_preload([*_PRELOAD, *([preloading.__name__] if _wanted else [])])
    os.environ[preloading.NAMES] = ",".join(_wanted)
    try:
        with blocked_for_children():  # Ctrl-C must not reach the server while it imports torch
            forkserver.ensure_running()
    finally:
        del os.environ[preloading.NAMES]
    return context


def _start_tracker() -> None:
    """Start multiprocessing's resource tracker, which silently removes semaphores that workers left behind.

    It starts before the fork server, because starting it unblocks SIGINT.
    """
    quiet = "ignore:resource_tracker:UserWarning"
    sys.warnoptions.append(quiet)  # multiprocessing passes these on to the tracker
    try:
        resource_tracker.ensure_running()
    finally:
        sys.warnoptions.remove(quiet)


def without_harm(preload: Sequence[str], timeout_s: float) -> dict[str, str]:
    """Have the fork server import these modules, without those that would harm the workers.

    `process_context` may have started to import them.

    Returns:
        Module -> why it is not preloaded.
    """
    problems: dict[str, str] = {}
    left = list(preload)
    while left:
        answer = _answer(left, timeout_s)
        problems |= answer.problems
        if not answer.spoilt:
            break
        left = [name for name in left if name not in answer.problems]
        process_context("forkserver", left)
    return problems


def _answer(preload: Sequence[str], timeout_s: float) -> Preloaded:
    try:
        answer = ask_child(process_context("forkserver", preload), preloading.report, (), timeout_s)
    except TimeoutError:
        reason = f"not imported within {timeout_s:g} s"
    except (EOFError, OSError, RunError) as error:
        reason = f"the fork server dies when it imports this module ({error})"
    else:
        assert isinstance(answer, Preloaded)  # noqa: S101 - a report sends nothing else
        return answer
    return Preloaded(problems=dict.fromkeys(preload, reason), spoilt=True)


def _end_server() -> None:
    """Kill the fork server, if one runs; the next start reaps it."""
    pid = _server._forkserver_pid
    if pid is None:
        return
    deadline = time.monotonic() + _END_TIMEOUT_S
    with contextlib.suppress(ProcessLookupError, ChildProcessError):  # it was reaped already
        os.kill(pid, signal.SIGKILL)
        while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the fork server {pid} does not end")
            time.sleep(_POLL_S)


def ask_child(
    context: ForkServerContext | SpawnContext,
    target: Callable[..., None],
    arguments: tuple[Any, ...],
    timeout_s: float,
) -> FromWorker:
    """Run a function in a child process, and return the one message that it sends before it ends.

    Args:
        context: Starts the child.
        target: Called with the arguments and a connection; must call `keeper.begin_child` first.
        arguments: Plain data.
        timeout_s: Seconds from the child's start to its answer.

    Raises:
        TimeoutError: If no answer came in time.
        EOFError: If the child died; the text contains its exit code.
        RunError: If the answer is not a message.
        OSError: If the child could not be started.
    """
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=target, args=(*arguments, sender), daemon=True)
    deadline = time.monotonic() + timeout_s
    try:
        started = _start(process, timeout_s)
        sender.close()
        if not started or not receiver.poll(max(0.0, deadline - time.monotonic())):
            raise TimeoutError(f"no answer in {timeout_s:g} s")
        return receive_from_worker(receiver)
    except EOFError as error:
        if process.pid is None:
            raise EOFError("the fork server died") from error
        process.join(timeout_s)
        raise EOFError(f"exit code {process.exitcode}") from error
    finally:
        if process.pid is not None:
            process.terminate()  # by way of its keeper
            process.join(_KILL_TIMEOUT_S)
        receiver.close()


def _start(process: BaseProcess, timeout_s: float) -> bool:
    """Start the process; return False if that was not done in time.

    `Process.start` waits without a deadline for the fork server, which answers once it has imported torch.
    So it runs in a thread, which is abandoned if it is late.
    """
    errors: list[BaseException] = []

    def start() -> None:
        try:
            process.start()
        except BaseException as error:
            errors.append(error)

    starting = threading.Thread(target=start, name="start of a child", daemon=True)
    starting.start()
    starting.join(timeout_s)
    if errors:
        raise errors[0]
    return not starting.is_alive()
