"""Faults that a worker causes in itself; executed in workers only.

Everything is real: memory is allocated until none is left, and kernels fail on the device. `prepare` does
what takes time, before the worker is ready.
"""

import ctypes
import os
import sys
from collections.abc import Callable
from functools import partial

from mps_experiments.errors import RunError

_BLOCK_SIZES_BYTES = (2**30, 2**26, 2**21)  # the smallest is what PyTorch's allocator asks the driver for
_NEVER_CYCLES = 2**62
_FAR_OUTSIDE = 2**20

# A store to address 16, which is never mapped. The driver compiles it for whatever GPU is there.
_BAD_STORE = b"""
.version 6.0
.target sm_70
.address_size 64
.visible .entry bad_store()
{
    .reg .u64 %address;
    .reg .u32 %value;
    mov.u64 %address, 16;
    mov.u32 %value, 1;
    st.global.u32 [%address], %value;
    ret;
}
"""


def prepare(kind: str, device: str) -> Callable[[], None]:
    """Prepare a fault, and return the function that causes it.

    That function never returns: it raises the framework's own error, ends the process, or hangs.

    Raises:
        RunError: If the fault cannot be prepared on this machine.
    """
    match kind:
        case "exit":
            return _exit
        case "exception":
            return _raise
        case "oom":
            return partial(_use_up_memory, device)
        case "device_assert":
            return _out_of_bounds(device)
        case "illegal_address":
            return _bad_store()
        case "hang":
            return partial(_hang, device)
    raise RunError(f"a worker cannot cause fault={kind} in itself")


def _exit() -> None:
    """Exit in order: finish all work, flush the output, and call the C library's exit, which ends CUDA."""
    import torch

    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.synchronize()
    sys.stdout.flush()
    sys.stderr.flush()
    ctypes.CDLL(None).exit(0)
    os._exit(0)


def _raise() -> None:
    raise RuntimeError("fault=exception: raised on purpose")


def _use_up_memory(device: str) -> None:
    """Allocate ever smaller blocks until the smallest is refused; raise that error while holding them all."""
    import torch

    blocks = []
    for size in _BLOCK_SIZES_BYTES:
        try:
            while True:
                blocks.append(torch.empty(size, dtype=torch.uint8, device=device))
        except torch.OutOfMemoryError:
            if size == _BLOCK_SIZES_BYTES[-1]:
                raise


def _out_of_bounds(device: str) -> Callable[[], None]:
    import torch

    values, index = torch.zeros(1, device=device), torch.tensor([_FAR_OUTSIDE], device=device)

    def read() -> None:
        values[index]
        torch.cuda.synchronize()

    return read


def _bad_store() -> Callable[[], None]:
    import torch

    driver = ctypes.CDLL("libcuda.so.1")
    module, function = ctypes.c_void_p(), ctypes.c_void_p()
    _succeed(driver.cuModuleLoadData(ctypes.byref(module), ctypes.c_char_p(_BAD_STORE)))
    _succeed(driver.cuModuleGetFunction(ctypes.byref(function), module, b"bad_store"))

    def store() -> None:
        stream = ctypes.c_void_p(torch.cuda.current_stream().cuda_stream)
        _succeed(driver.cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, stream, None, None))
        torch.cuda.synchronize()

    return store


def _succeed(code: int) -> None:
    if code:
        raise RunError(f"the CUDA driver refused the kernel of fault=illegal_address with error {code}")


def _hang(device: str) -> None:
    import torch

    if device != "cpu":
        torch.cuda._sleep(_NEVER_CYCLES)  # type: ignore[no-untyped-call]
        torch.cuda.synchronize()
    while True:
        pass
