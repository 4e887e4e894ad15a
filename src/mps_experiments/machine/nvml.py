"""NVML's questions, asked of GPUs and drivers that may not know the answer."""

from collections.abc import Callable
from typing import TypeVar

import pynvml

_T = TypeVar("_T")


def or_none(ask: Callable[[], _T]) -> _T | None:
    """The answer, or None where this GPU or driver does not support the question."""
    try:
        return ask()
    except pynvml.NVMLError:
        return None
