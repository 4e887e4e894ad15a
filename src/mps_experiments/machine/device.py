"""The device of a run: a GPU by its UUID, or the CPU."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from mps_experiments.errors import ConfigError
from mps_experiments.machine.gpus import GpuProbe
from mps_experiments.record.machine import Gpu

_FORMS = "give auto, cpu, cuda, cuda:N or a GPU UUID"


@dataclass(frozen=True, kw_only=True)
class Device:
    """The device of one run: a GPU, or None for the CPU; `chosen` is False for ``device=auto``."""

    gpu: Gpu | None
    chosen: bool = True

    @property
    def is_cpu(self) -> bool:
        return self.gpu is None

    @property
    def uuid(self) -> str | None:
        """Return the UUID of its GPU; None for the CPU."""
        return None if self.gpu is None else self.gpu.uuid

    @property
    def torch_device(self) -> str:
        """Return the name that a worker passes to torch."""
        return "cpu" if self.gpu is None else self.gpu.torch_device


def resolve_device(value: str, probe: GpuProbe, environment: Mapping[str, str] = os.environ) -> Device:
    """Return the device that ``device=value`` names on this machine.

    ``cuda:N`` counts the GPUs that CUDA_VISIBLE_DEVICES leaves, in its order.

    Raises:
        ConfigError: If the text is not a device, or this machine has no such GPU.
    """
    gpus = _visible(probe.gpus(), environment.get("CUDA_VISIBLE_DEVICES"))
    if value == "cpu":
        return Device(gpu=None)
    if value == "auto":
        return Device(gpu=gpus[0] if gpus else None, chosen=False)
    if match := re.fullmatch(r"cuda(?::(\d+))?", value):
        index = int(match[1] or 0)
        if index >= len(gpus):
            what = f"this machine has {_count(gpus)}; device=cpu runs without one"
            raise ConfigError("device", value, what)
        return Device(gpu=gpus[index])
    if value.startswith("GPU-"):
        matches = [gpu for gpu in gpus if gpu.uuid.startswith(value)]
        if len(matches) != 1:
            what = "several GPUs begin with it" if matches else "no such GPU"
            known = f": {', '.join(gpu.uuid for gpu in gpus)}" if gpus else ""
            raise ConfigError("device", value, f"{what}; this machine has {_count(gpus)}{known}")
        return Device(gpu=matches[0])
    raise ConfigError("device", value, f"not a device; {_FORMS}")


def _visible(gpus: tuple[Gpu, ...], visible: str | None) -> tuple[Gpu, ...]:
    """Return the GPUs that CUDA_VISIBLE_DEVICES names, in its order. Stop at a bad entry, as CUDA does."""
    if visible is None:
        return gpus
    kept: list[Gpu] = []
    for entry in filter(None, (text.strip() for text in visible.split(","))):
        named = [gpu for gpu in gpus if entry == str(gpu.index)]
        if entry.startswith("GPU-"):
            named = [gpu for gpu in gpus if gpu.uuid.startswith(entry)]
        if len(named) != 1:
            break
        kept += named
    return tuple(kept)


def _count(gpus: tuple[Gpu, ...]) -> str:
    count = {0: "no", 1: "one"}.get(len(gpus), str(len(gpus)))
    return f"{count} visible NVIDIA GPU{'s' if len(gpus) > 1 else ''}"
