"""Child side after the measured window: answer the parent's questions until it says exit.

A failure here is reported and costs no number: the window is over.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Protocol

from mps_experiments.errors import MpsExperimentsError, in_words
from mps_experiments.record.trace_files import save_trace
from mps_experiments.workers.messages import (
    CheckProducts,
    Compute,
    Computed,
    CountOperators,
    Go,
    Operators,
    Products,
    Trace,
    Traced,
    Tracing,
    clipped,
    receive,
    send,
)
from mps_experiments.workers.timing import wait_until


class Runnable(Protocol):
    """The part of a workload that a worker runs; see `workloads.loading.Workload`."""

    @property
    def forward(self) -> Callable[[], object]: ...

    @property
    def forward_first(self) -> Callable[[], object]: ...


@dataclass(frozen=True, kw_only=True)
class Witness:
    """A worker that has finished its window and answers questions.

    Attributes:
        device: The device in torch's notation.
        timeout_s: Seconds to wait for the parent's next message.
    """

    rank: int
    device: str
    workload: Runnable
    synchronize: Callable[[], None]
    channel: Connection
    timeout_s: float

    @property
    def on_gpu(self) -> bool:
        """True if the device is a GPU."""
        return self.device != "cpu"

    def answer(self) -> None:
        """Answer questions until the parent says exit or is gone."""
        while True:
            match receive(self.channel, self.timeout_s):
                case Compute():
                    send(self.channel, self._computed())
                case Trace() as order:
                    if not self._traced_pass(order):
                        return
                case CountOperators() as count:
                    send(self.channel, self._counted(count.iterations))
                case CheckProducts():
                    send(self.channel, self._products())
                case _:
                    return

    def _computed(self) -> Computed:
        from mps_experiments.workloads.digest import digest_output

        try:
            output = self.workload.forward_first()
            self.synchronize()
            return Computed(output=digest_output(output))
        except Exception as error:  # a model and its framework may raise anything
            return Computed(output=None, problem=_in_words(error))

    def _counted(self, iterations: int) -> Operators:
        from mps_experiments.workers.operators import count_operators

        kind = self.device.partition(":")[0]
        try:
            counts = tuple(count_operators(self.workload.forward, kind) for _ in range(iterations))
            self.synchronize()
        except Exception as error:
            return Operators(problem=_in_words(error))
        return Operators(counts=counts)

    def _products(self) -> Products:
        from mps_experiments.workers.products import product_errors

        try:
            return Products(errors=product_errors(self.device))
        except Exception as error:
            return Products(problem=_in_words(error))

    def _traced_pass(self, order: Trace) -> bool:
        """Run one traced pass; return False if the parent wants nothing more."""
        from mps_experiments.workers.tracing import KernelTracer

        tracer = KernelTracer(self.on_gpu, self.synchronize)
        try:
            tracer.start()
        except Exception as error:
            send(self.channel, Tracing(problem=_in_words(error)))
            return True
        send(self.channel, Tracing())
        go = receive(self.channel, self.timeout_s)
        if not isinstance(go, Go):
            return False
        try:
            boundaries_ns = self._iterate(go, order.iterations)
            path = Path(order.path)
            save_trace(tracer.stop(self.rank, os.getpid(), boundaries_ns, path.parent), path)
        except Exception as error:
            send(self.channel, Traced(problem=_in_words(error)))
        else:
            send(self.channel, Traced())
        return True

    def _iterate(self, go: Go, iterations: int) -> list[int]:
        """Run iterations as in the measured window, timed by the wall clock, as the profiler's are."""
        wait_until(go.start_at_ns)
        boundaries_ns = [time.time_ns()]
        for _ in range(iterations):
            self.workload.forward()
            self.synchronize()
            boundaries_ns.append(time.time_ns())
        return boundaries_ns


def _in_words(error: Exception) -> str:
    text = " ".join(str(error).split()) if isinstance(error, MpsExperimentsError) else ""
    return clipped(text or in_words(error, whole=True))
