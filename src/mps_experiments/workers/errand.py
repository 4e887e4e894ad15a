"""Run a function in a child process that answers with one message and ends."""

import threading
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from typing import Any

from mps_experiments.workers.messages import FromWorker, receive_from_worker

_KILL_TIMEOUT_S = 10.0  # no option: such a child uses no GPU, and dies with this process at the latest


def ask_child(
    context: ForkServerContext | SpawnContext,
    target: Callable[..., None],
    arguments: tuple[Any, ...],
    timeout_s: float,
) -> FromWorker:
    """Run a function in a child process and return the message that it sends.

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
