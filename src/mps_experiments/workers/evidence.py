"""Child side after the measured window: answer the parent's questions until it says exit.

A failure here is reported and costs no number: the window is over.
"""

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mps_experiments.errors import MpsExperimentsError, in_words
from mps_experiments.record.trace_files import save_trace
from mps_experiments.workers.messages import (
    Answer,
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

if TYPE_CHECKING:  # it imports torch
    from mps_experiments.workloads.loading import Workload

_A = TypeVar("_A", bound=Answer)
# Operators that compute nothing. A model on the CPU uses some of them to fetch its input from the GPU.
_NO_WORK = {"_to_copy", "copy_", "detach", "empty", "empty_like", "empty_strided", "lift_fresh"} | {
    "_local_scalar_dense"
}
_ROWS, _INNER, _COLUMNS = 512, 1024, 1024  # of the matrices that are multiplied


@dataclass(frozen=True, kw_only=True)
class Witness:
    """A worker that has finished its window and answers questions.

    Attributes:
        device: The device in torch's notation.
        timeout_s: Seconds to wait for the parent's next message.
    """

    rank: int
    device: str
    workload: "Workload"
    synchronize: Callable[[], None]
    channel: Connection
    timeout_s: float

    def answer(self) -> None:
        """Answer questions until the parent says exit or is gone."""
        while True:
            match receive(self.channel, self.timeout_s):
                case Compute():
                    send(self.channel, _attempt(Computed, self._computed))
                case CountOperators() as order:
                    send(self.channel, _attempt(Operators, partial(self._counted, order.iterations)))
                case CheckProducts():
                    send(self.channel, _attempt(Products, self._products))
                case Trace() as order:
                    if not self._traced_pass(order):
                        return
                case _:
                    return

    def _computed(self) -> Computed:
        from mps_experiments.workloads.digest import digest_output

        output = self.workload.forward_first()
        self.synchronize()
        return Computed(output=digest_output(output))

    def _counted(self, iterations: int) -> Operators:
        kind = self.device.partition(":")[0]
        counts = tuple(count_operators(self.workload.forward, kind) for _ in range(iterations))
        self.synchronize()
        return Operators(counts=counts)

    def _products(self) -> Products:
        return Products(errors=product_errors(self.device))

    def _traced_pass(self, order: Trace) -> bool:
        """Run one traced pass; return False if the parent wants nothing more."""
        from mps_experiments.workers.tracing import KernelTracer

        tracer = KernelTracer(self.device != "cpu", self.synchronize)

        def start() -> Tracing:
            tracer.start()
            return Tracing()

        started = _attempt(Tracing, start)
        send(self.channel, started)
        if started.problem:
            return True
        go = receive(self.channel, self.timeout_s)
        if not isinstance(go, Go):
            return False

        def trace() -> Traced:
            boundaries_ns = self._iterate(go.start_at_ns, order.iterations)
            path = Path(order.path)
            save_trace(tracer.stop(self.rank, os.getpid(), boundaries_ns, path.parent), path)
            return Traced()

        send(self.channel, _attempt(Traced, trace))
        return True

    def _iterate(self, start_at_ns: int, iterations: int) -> list[int]:
        """Run iterations as in the measured window, timed by the wall clock, as the profiler's are."""
        wait_until(start_at_ns)
        boundaries_ns = [time.time_ns()]
        for _ in range(iterations):
            self.workload.forward()
            self.synchronize()
            boundaries_ns.append(time.time_ns())
        return boundaries_ns


def _attempt(kind: type[_A], find: Callable[[], _A]) -> _A:
    """Return the answer, or one with the problem: a model and its framework may raise anything."""
    try:
        return find()
    except Exception as error:
        text = " ".join(str(error).split()) if isinstance(error, MpsExperimentsError) else ""
        return kind(problem=clipped(text or in_words(error, whole=True)))


def count_operators(forward: Callable[[], object], device_type: str) -> int:
    """Run one iteration and return how many operators and CUDA graphs PyTorch launched on the device.

    That proves work on the GPU without a profiler. Kernels launched by Triton or another framework are not
    seen, so a count of zero proves nothing.
    """
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    class Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
        count = 0

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> object:
            result = func(*args, **(kwargs or {}))
            tensors = (leaf for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor))
            works = not func.is_view and func.overloadpacket.__name__ not in _NO_WORK
            self.count += works and any(tensor.device.type == device_type for tensor in tensors)
            return result

    counter = Counter()  # type: ignore[no-untyped-call]
    replay = torch.cuda.CUDAGraph.replay

    def count_replay(graph: torch.cuda.CUDAGraph) -> None:
        counter.count += 1
        replay(graph)

    torch.cuda.CUDAGraph.replay = count_replay  # type: ignore[method-assign, assignment]
    try:
        with counter:
            forward()
    finally:
        torch.cuda.CUDAGraph.replay = replay  # type: ignore[method-assign]
    return counter.count


def product_errors(device: str, multiply: Callable[[Any, Any], Any] | None = None) -> dict[str, float]:
    """Multiply on the device and on the CPU; return the relative error (Frobenius norm) by data type.

    Under some SM caps cuBLAS silently returned wrong half-precision products: on an H100 with 132
    multiprocessors the relative error was 0.56 with 98 of them and 0.66 with 54. The CPU multiplies the same
    rounded factors in double precision. A NaN error counts as infinite.
    """
    import torch

    generator = torch.Generator().manual_seed(0)
    left = torch.randn(_ROWS, _INNER, generator=generator)
    right = torch.randn(_INNER, _COLUMNS, generator=generator)
    errors = {}
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        a, b = left.to(dtype), right.to(dtype)
        expected = a.double() @ b.double()
        found = (multiply or torch.mm)(a.to(device), b.to(device)).cpu().double()
        error = float((found - expected).norm() / expected.norm())
        errors[str(dtype).removeprefix("torch.")] = error if math.isfinite(error) else math.inf
    return errors
