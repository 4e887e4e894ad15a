"""Workloads whose limit is made, to see whether the program names it.

python -m mps_experiments -m procs=1,2 mps=off,on times=200 workload=custom \
    workload.factory=examples.causes:build +workload.options.kind=tiny_kernels,matrix_product,copy

For the fourth, workers that share one CPU core, start the same under `taskset -c 0` with kind=tiny_kernels.
"""

from collections.abc import Callable
from typing import Any

import torch


def build(device: torch.device, options: dict[str, Any]) -> tuple[Callable[..., object], torch.Tensor]:
    """The kind that ``options["kind"]`` names, and its input."""
    kinds = {"tiny_kernels": tiny_kernels, "matrix_product": matrix_product, "copy": copy}
    return kinds[options.get("kind", "tiny_kernels")](device)


def tiny_kernels(device: torch.device) -> tuple[Callable[..., object], torch.Tensor]:
    """1,000 kernels of a microsecond each: launching takes longer than computing."""

    def model(x: torch.Tensor) -> torch.Tensor:
        for _ in range(1000):
            x = x + 1
        return x

    return model, torch.zeros(256, device=device)


def matrix_product(device: torch.device) -> tuple[Callable[..., object], torch.Tensor]:
    """One product of 8192 x 8192 matrices in float32: every multiprocessor is busy for 20 ms on an H100."""
    generator = torch.Generator(device).manual_seed(0)
    x = torch.randn(8192, 8192, device=device, generator=generator)
    return lambda a: a @ a, x


def copy(device: torch.device) -> tuple[Callable[..., object], torch.Tensor]:
    """1 GiB from device memory to device memory by a kernel: reads and writes, no arithmetic to speak of."""
    target = torch.empty(2**28, device=device)
    return target.copy_, torch.zeros(2**28, device=device)
