"""Replicas with the same weights and input must compute the same: digests of outputs, compared."""

import math
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
        nonfinite: How many of all its elements are NaN or infinite; 0 in earlier records, which do not tell.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    hashed: int
    sha256: str
    values: tuple[float, ...]
    nonfinite: int = 0

    @property
    def label(self) -> str:
        """Its name for people; an output that is one tensor has none of its own."""
        return self.name or "the output"


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
        where: The tensor with the largest excess, or what does not match; empty if identical. Earlier records
            have no name for an output that is one tensor.
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
    if _layout(reference) != _layout(other):
        return _mismatch(reference, other)
    pairs = list(zip(reference, other, strict=True))
    differing = [(one, two) for one, two in pairs if _content(one) != _content(two)]
    compared = sum(one.hashed for one, two in pairs if _content(one) == _content(two))
    if not differing:
        return OutputDifference(identical=True, largest=0.0, excess=0.0, where="", compared=compared)
    found = [(one.label, *_largest(one, two, rtol, atol)) for one, two in differing]
    where, _, excess = max(found, key=lambda each: each[2])
    return OutputDifference(
        identical=False,
        largest=max(largest for _, largest, _ in found),
        excess=excess,
        where=where,
        compared=compared + sum(len(one.values) for one, _ in differing),
    )


def nonfinite_text(output: OutputDigest) -> str:
    """Say where an output is NaN or infinite, and in how many values; empty if nowhere."""
    return ", ".join(
        f"{tensor.nonfinite} of {math.prod(tensor.shape)} values in {tensor.label}"
        for tensor in output
        if tensor.nonfinite
    )


def _content(tensor: TensorDigest) -> tuple[str, int, str]:
    """What is equal if all hashed elements are; the values are not part of it, as NaN does not equal NaN."""
    return tensor.dtype, tensor.hashed, tensor.sha256


def _largest(reference: TensorDigest, other: TensorDigest, rtol: float, atol: float) -> tuple[float, float]:
    """The largest difference of two tensors' values, absolute and in units of what is allowed."""
    b, a = np.asarray(reference.values, dtype=float), np.asarray(other.values, dtype=float)
    with np.errstate(all="ignore"):  # infinite minus infinite, and nothing allowed, have their meaning below
        difference = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a - b))
        difference = np.where(np.isnan(difference), np.inf, difference)
        excess = difference / (atol + rtol * np.nan_to_num(np.abs(b)))
    excess = np.where(difference == 0, 0.0, excess)
    return float(np.max(difference, initial=0.0)), float(np.max(excess, initial=0.0))


def _mismatch(reference: OutputDigest, other: OutputDigest) -> OutputDifference:
    first = next(
        (f"{a} against {b}" for a, b in zip(_layout(reference), _layout(other), strict=False) if a != b),
        f"{len(reference)} against {len(other)} tensors",
    )
    return OutputDifference(
        identical=False, largest=float("inf"), excess=float("inf"), where=first, compared=0
    )


def _layout(output: Sequence[TensorDigest]) -> list[str]:
    return [f"{tensor.label} {tensor.shape}" for tensor in output]
