"""Digests of outputs, and their comparison: replicas with the same weights and input must agree."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RTOL, ATOL = 1e-3, 1e-4  # outputs may differ by atol + rtol * |value|, unless an option says otherwise


@dataclass(frozen=True, kw_only=True)
class TensorDigest:
    """One tensor of an output.

    Attributes:
        name: Its place in the output, for example ``0.boxes``.
        dtype: Its data type, as the framework names it.
        hashed: Number of elements, evenly spread, that `sha256` covers.
        sha256: Digest of these elements' bytes.
        values: Some of the elements, evenly spread, to compute differences.
        nonfinite: Number of elements that are NaN or infinite; 0 in earlier records, which do not say.
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
        """Name to show; an output that is a single tensor has none of its own."""
        return self.name or "the output"


OutputDigest = tuple[TensorDigest, ...]


@dataclass(frozen=True, kw_only=True)
class OutputDifference:
    """Difference between two outputs.

    Attributes:
        identical: True if every hashed element is equal, bit by bit.
        largest: Largest absolute difference between the values compared; infinite if the outputs do not have
            the same tensors.
        excess: Largest difference in units of the tolerance, ``|a - b| / (atol + rtol * |b|)``; above 1 the
            outputs differ. (The criterion of ``numpy.allclose``.)
        where: The tensor with the largest excess, or the mismatch; empty if identical. Earlier records have
            no name for an output that is a single tensor.
        compared: Number of elements of each output that were compared.
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
    """Compare one output with a reference; NaN equals NaN."""
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
    """Say which tensors of an output have NaN or infinite values, and how many; empty if none has."""
    return ", ".join(
        f"{tensor.nonfinite} of {math.prod(tensor.shape)} values in {tensor.label}"
        for tensor in output
        if tensor.nonfinite
    )


def _content(tensor: TensorDigest) -> tuple[str, int, str]:
    """Return a key that is equal if all hashed elements are; without the values, as NaN is unequal to NaN."""
    return tensor.dtype, tensor.hashed, tensor.sha256


def _largest(reference: TensorDigest, other: TensorDigest, rtol: float, atol: float) -> tuple[float, float]:
    """Return the largest difference of two tensors' values, absolute and in units of the tolerance."""
    b, a = np.asarray(reference.values, dtype=float), np.asarray(other.values, dtype=float)
    with np.errstate(all="ignore"):  # infinity - infinity and a tolerance of zero are handled below
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
