"""Replicas with the same weights and input must compute the same: digests of outputs, compared."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class TensorDigest:
    """One tensor of an output.

    Attributes:
        name: Where it is in the output, for example ``0.boxes``.
        shape: Its full shape.
        dtype: Its type, as the framework names it.
        hashed: How many of its elements, evenly spread, `sha256` covers.
        sha256: Digest of these elements' bytes.
        values: Some of them, evenly spread, for a difference in numbers.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    hashed: int
    sha256: str
    values: tuple[float, ...]


OutputDigest = tuple[TensorDigest, ...]


@dataclass(frozen=True, kw_only=True)
class OutputDifference:
    """How far two outputs lie apart.

    Attributes:
        identical: Every hashed element is equal, bit by bit.
        largest: Largest absolute difference between the values compared; infinite if the outputs do not even
            have the same tensors.
        excess: Largest difference in units of what is allowed, ``|a - b| / (atol + rtol * |b|)``; above 1 the
            outputs differ. (The criterion of ``numpy.allclose``.)
        where: The tensor with the largest excess, or what does not match; empty if identical.
        compared: How many elements of each output this rests on.
    """

    identical: bool
    largest: float
    excess: float
    where: str
    compared: int

    @property
    def within_tolerance(self) -> bool:
        return self.excess <= 1


def compare_outputs(
    reference: OutputDigest, other: OutputDigest, rtol: float, atol: float
) -> OutputDifference:
    """Compare one output with a reference; two values that are both NaN are equal."""
    hashed = sum(tensor.hashed for tensor in reference)
    if reference == other:
        return OutputDifference(identical=True, largest=0.0, excess=0.0, where="", compared=hashed)
    if [(t.name, t.shape) for t in reference] != [(t.name, t.shape) for t in other]:
        return _mismatch(reference, other)
    worst = OutputDifference(identical=False, largest=0.0, excess=0.0, where="", compared=0)
    compared, largest = 0, 0.0
    for one, two in zip(reference, other, strict=True):
        if one.sha256 == two.sha256 and one.dtype == two.dtype:
            compared += one.hashed
            continue
        compared += len(one.values)
        b, a = np.asarray(one.values, dtype=float), np.asarray(two.values, dtype=float)
        difference = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a - b))
        difference = np.where(np.isnan(difference), np.inf, difference)
        excess = np.max(difference / (atol + rtol * np.nan_to_num(np.abs(b))), initial=0.0)
        largest = max(largest, float(np.max(difference, initial=0.0)))
        if not worst.where or excess > worst.excess:
            worst = OutputDifference(
                identical=False, largest=0.0, excess=float(excess), where=one.name, compared=0
            )
    return OutputDifference(
        identical=False, largest=largest, excess=worst.excess, where=worst.where, compared=compared
    )


def _mismatch(reference: OutputDigest, other: OutputDigest) -> OutputDifference:
    first = next(
        (
            f"{a} against {b}"
            for a, b in zip(_layout(reference), _layout(other), strict=False)
            if a != b
        ),
        f"{len(reference)} against {len(other)} tensors",
    )
    return OutputDifference(
        identical=False, largest=float("inf"), excess=float("inf"), where=first, compared=0
    )


def _layout(output: Sequence[TensorDigest]) -> list[str]:
    return [f"{tensor.name} {tensor.shape}" for tensor in output]
