"""Build a user's own workload. Its factory runs in workers only."""

import inspect
import itertools
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from typing import Any

import torch

from mps_experiments.record.workload import WorkloadSpec
from mps_experiments.workloads.factory import first_names, import_factory

_ENDLESS = (itertools.cycle, itertools.count)


def build(spec: WorkloadSpec, device: torch.device) -> tuple[Callable[..., object], tuple[object, ...]]:
    """Call the factory as ``build(device, options)``; it returns ``(model, input)``.

    With a batch above 1 it is called as ``build(device, options, batch=N)``: one that takes none fails,
    instead of having items counted that it does not process.

    `device` is a `torch.device`, `options` a dict. `model` is any callable; `input` is passed as keywords if
    it is a mapping, as arguments if it is a tuple, else as the one argument.

    Raises:
        ConfigError: If the factory cannot be found.
        TypeError: If the factory returns something else, or an input that one iteration uses up.
    """
    factory = import_factory(str(spec.factory), spec.import_path)
    batch = {"batch": spec.batch} if spec.batch > 1 else {}
    built = factory(device, dict(spec.options), **batch)
    if not (isinstance(built, tuple) and len(built) == 2 and callable(built[0])):
        raise TypeError(f"{spec.factory} must return (model, input), but returned {_described(built)}")
    if used_up := _one_shot(built[1], "input"):
        raise TypeError(
            f"{spec.factory} returned {used_up}, which one iteration uses up; return a list or a tensor, "
            "or let the model draw from it"
        )
    return built[0], (built[1],)


def _described(built: Any) -> str:
    """Describe what a factory returned instead of (model, input)."""
    if isinstance(built, tuple | list):
        return (
            f"{type(built).__name__} of {len(built)} ({first_names(type(each).__name__ for each in built)})"
        )
    if inspect.iscoroutine(built):
        built.close()  # otherwise Python warns that it was never awaited
        return "a coroutine; it must not be async"
    return type(built).__name__


def _one_shot(value: object, name: str) -> str | None:
    """Name an iterator that works only once, at any depth of an input; None without one."""
    if isinstance(value, Iterator | AsyncIterator) and not isinstance(value, _ENDLESS):
        return f"{type(value).__name__} as {name}"
    parts: Iterable[tuple[object, object]] = value.items() if isinstance(value, Mapping) else ()
    if isinstance(value, tuple | list):
        parts = enumerate(value)
    found = (_one_shot(part, f"{name}[{key!r}]") for key, part in parts)
    return next(filter(None, found), None)
