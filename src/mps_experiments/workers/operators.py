"""Count the operators that PyTorch runs on a device in one iteration: proof of GPU work without a profiler.

Kernels launched by Triton or another framework are not seen, so a count of zero proves nothing.
"""

from collections.abc import Callable
from typing import Any

# These compute nothing. A model on the CPU uses some of them to fetch its input from the GPU.
_NO_WORK = frozenset(
    {
        "_to_copy",
        "copy_",
        "detach",
        "empty",
        "empty_like",
        "empty_strided",
        "lift_fresh",
        "_local_scalar_dense",
    }
)


def count_operators(forward: Callable[[], object], device_type: str) -> int:
    """Run one iteration and return how many operators and CUDA graphs it launched on the device."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    class Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
        count = 0

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> object:
            result = func(*args, **(kwargs or {}))
            works = not func.is_view and func.overloadpacket.__name__ not in _NO_WORK
            if works and any(_is_on(device_type, leaf) for leaf in tree_leaves(result)):
                self.count += 1
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


def _is_on(device_type: str, value: object) -> bool:
    import torch

    return isinstance(value, torch.Tensor) and value.device.type == device_type
