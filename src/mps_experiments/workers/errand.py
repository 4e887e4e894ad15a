"""Send a child process on an errand: it answers with one message and is gone."""

import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from typing import Any

from mps_experiments.workers.keeper import under_keeper
from mps_experiments.workers.lifeline import die_with_parent
from mps_experiments.workers.messages import FromWorker, receive_from_worker

_KILL_TIMEOUT_S = 10.0  # no option: a child that does not go has no GPU, and dies with this process


def ask_child(
    context: ForkServerContext | SpawnContext,
    target: Callable[..., None],
    arguments: tuple[Any, ...],
    timeout_s: float,
) -> FromWorker:
    """Run a function in a child process and return the message that it sends.

    Args:
        context: How the child is started.
        target: Called with the arguments and a connection; begins with `begin_errand`.
        arguments: Plain data.
        timeout_s: From its start to its answer.

    Raises:
        TimeoutError: If no answer came in time.
        EOFError: If it died; the text has its exit code.
        RunError: If what it sent is no message.
        OSError: If it could not be started.
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


def begin_errand() -> None:
    """Leave signals to the parent, and end with it; the first thing a child does."""
    under_keeper()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    die_with_parent()


def _start(process: BaseProcess, timeout_s: float) -> bool:
    """Start it; returns whether that was done in time.

    The fork server answers once it has imported torch, and `Process.start` waits for that without a deadline:
    it does so in a thread, left behind when it is late.
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
