"""Ask NVML what a GPU or driver may not support."""

from collections.abc import Callable
from typing import TypeVar

import pynvml

_T = TypeVar("_T")


def or_none(ask: Callable[[], _T]) -> _T | None:
    """Return the answer; None if this GPU or driver does not support the question."""
    try:
        return ask()
    except pynvml.NVMLError:
        return None
