"""Which device a run uses: a GPU by its UUID, or the CPU."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from mps_experiments.errors import ConfigError
from mps_experiments.machine.gpus import Gpu, GpuProbe

_FORMS = "give auto, cpu, cuda, cuda:N or a GPU UUID"


@dataclass(frozen=True, kw_only=True)
class Device:
    """The device of one run; `gpu` is None on the CPU.

    Attributes:
        chosen: Whether the user asked for the CPU (``device=cpu``) or it is all there is.
    """

    gpu: Gpu | None
    chosen: bool = True

    @property
    def is_cpu(self) -> bool:
        return self.gpu is None

    @property
    def torch_device(self) -> str:
        """What a worker passes to torch."""
        return "cpu" if self.gpu is None else self.gpu.torch_device


def resolve_device(value: str, probe: GpuProbe, environment: Mapping[str, str] = os.environ) -> Device:
    """The device that ``device=value`` means here.

    ``cuda:N`` counts the GPUs that CUDA_VISIBLE_DEVICES leaves, in nvidia-smi's order.

    Raises:
        ConfigError: If the text is no device, or this machine has no such GPU.
    """
    gpus = _visible(probe.gpus(), environment.get("CUDA_VISIBLE_DEVICES"))
    if value == "cpu":
        return Device(gpu=None)
    if value == "auto":
        return Device(gpu=gpus[0] if gpus else None, chosen=False)
    if match := re.fullmatch(r"cuda(?::(\d+))?", value):
        index = int(match[1] or 0)
        if index >= len(gpus):
            raise ConfigError(
                "device", value, f"this machine has {_count(gpus)}; device=cpu runs without one"
            )
        return Device(gpu=gpus[index])
    if value.startswith("GPU-"):
        matches = [gpu for gpu in gpus if gpu.uuid.startswith(value)]
        if len(matches) != 1:
            raise ConfigError("device", value, f"no such GPU; {_count(gpus)} here: {[g.uuid for g in gpus]}")
        return Device(gpu=matches[0])
    raise ConfigError("device", value, f"not a device; {_FORMS}")


def _visible(gpus: tuple[Gpu, ...], visible: str | None) -> tuple[Gpu, ...]:
    """The GPUs that CUDA_VISIBLE_DEVICES leaves, in its order; like CUDA it stops at the first bad entry."""
    if visible is None:
        return gpus
    kept: list[Gpu] = []
    for entry in filter(None, (text.strip() for text in visible.split(","))):
        match = [
            gpu
            for gpu in gpus
            if str(gpu.index) == entry or (entry[:4] == "GPU-" and gpu.uuid.startswith(entry))
        ]
        if len(match) != 1:
            break
        kept.append(match[0])
    return tuple(kept)


def _count(gpus: tuple[Gpu, ...]) -> str:
    return {0: "no visible NVIDIA GPU", 1: "one visible NVIDIA GPU"}.get(
        len(gpus), f"{len(gpus)} visible NVIDIA GPUs"
    )
