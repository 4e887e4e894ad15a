"""A workload of the user's own, built by a function that runs in the worker only."""

import importlib
import sys
from collections.abc import Callable

import torch

from mps_experiments.workloads.spec import WorkloadSpec


def build(spec: WorkloadSpec, device: torch.device) -> tuple[Callable[..., object], tuple[object, ...]]:
    """Call the factory as ``build(device, options)``; it returns ``(model, input)``.

    `device` is a `torch.device`, `options` a dict. `model` is any callable; `input` is passed as keywords if
    it is a mapping, as arguments if it is a tuple, else as the one argument.

    Raises:
        TypeError: If the factory returns something else.
    """
    if spec.import_path and spec.import_path not in sys.path:
        sys.path.insert(0, spec.import_path)
    module_name, _, function = str(spec.factory).partition(":")
    factory = getattr(importlib.import_module(module_name), function)
    built = factory(device, dict(spec.options))
    if not (isinstance(built, tuple) and len(built) == 2 and callable(built[0])):
        raise TypeError(f"{spec.factory} must return (model, input) with a callable model")
    return built[0], (built[1],)
