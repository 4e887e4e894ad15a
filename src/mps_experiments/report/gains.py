"""What packing gains: a stand-in until the report's own comparison is there; it compares nothing."""

from collections.abc import Sequence

from typing import Any
from mps_experiments.record import Measurement


def gains(measurements: Sequence[Measurement]) -> list[Any]:  # noqa: ARG001
    """Compare nothing."""
    return []
