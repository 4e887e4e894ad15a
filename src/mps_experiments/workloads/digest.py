"""Digest the output of a model into something that fits in a message. Runs in workers only."""

import dataclasses
import hashlib
import math
from collections.abc import Iterator, Mapping

import numpy as np
import torch

from mps_experiments.record.outputs import OutputDigest, TensorDigest

_MAX_HASHED = 2**20  # elements per tensor: masks of 100 detections have 27 million
_MAX_VALUES = 256  # of all tensors together: a digest travels in one message
_MAX_TENSORS = 32


def digest_output(output: object) -> OutputDigest:
    """Digest every tensor and array of an output, at any depth. Skip everything else.

    A dataclass counts as the mapping of its fields; a nested, sparse or quantized tensor as its parts.
    Of a large tensor, evenly spaced elements are hashed, the same ones in every worker.
    """
    tensors = [(name, value) for name, value in _tensors(output, "") if value.kept.size][:_MAX_TENSORS]
    share = _MAX_VALUES // max(1, len(tensors))
    return tuple(_digest(name, value, share) for name, value in tensors)


@dataclasses.dataclass(frozen=True, eq=False)
class _Strided:
    """A tensor thinned out and copied to the host. `nonfinite` counts the elements of the whole tensor."""

    shape: tuple[int, ...]
    dtype: str
    kept: np.ndarray
    nonfinite: int


def _tensors(output: object, name: str) -> Iterator[tuple[str, _Strided]]:
    match output:
        case torch.Tensor() if (parts := _parts(output)) is not None:
            yield from _tensors(parts, name)
        case torch.Tensor():
            yield name, _from_torch(output)
        case np.ndarray() | np.generic() if output.dtype.kind in "biufc":
            flat = output.reshape(-1)
            nonfinite = flat.size - int(np.isfinite(flat).sum())
            yield name, _Strided(output.shape, str(output.dtype), flat[:: _stride(flat.size)], nonfinite)
        case Mapping() | list() | tuple():
            for key, value in output.items() if isinstance(output, Mapping) else enumerate(output):
                yield from _tensors(value, f"{name}.{key}" if name else str(key))
        case _ if dataclasses.is_dataclass(output) and not isinstance(output, type):
            fields = {each.name: getattr(output, each.name) for each in dataclasses.fields(output)}
            yield from _tensors(fields, name)
        case bool() | int() | float():
            value = np.asarray([output], np.float64)
            yield name, _Strided((), type(output).__name__, value, int(not np.isfinite(value[0])))


def _parts(tensor: torch.Tensor) -> object:
    """Return the parts of a tensor that is not one block of memory; None if it is one."""
    if tensor.is_nested:
        return tensor.unbind()
    if tensor.is_quantized:
        return tensor.dequantize()
    if tensor.layout is torch.strided:
        return None
    whole = tensor.detach().to_sparse().coalesce()
    return {"indices": whole.indices(), "values": whole.values()}


def _from_torch(tensor: torch.Tensor) -> _Strided:
    flat = tensor.detach().reshape(-1)
    nonfinite = flat.numel() - int(torch.isfinite(_readable(flat)).sum())
    kept = _readable(flat[:: _stride(flat.numel())].resolve_conj().resolve_neg())
    dtype = str(tensor.dtype).removeprefix("torch.")
    return _Strided(tuple(tensor.shape), dtype, kept.cpu().numpy(), nonfinite)


def _readable(tensor: torch.Tensor) -> torch.Tensor:
    """Return bfloat16 and float8 as float32, which holds each of their values; NumPy has neither."""
    narrow = tensor.is_floating_point() and tensor.itemsize < 4 and tensor.dtype is not torch.float16
    return tensor.to(torch.float32) if narrow else tensor


def _stride(size: int) -> int:
    return max(1, math.ceil(size / _MAX_HASHED))


def _digest(name: str, tensor: _Strided, value_count: int) -> TensorDigest:
    kept = np.ascontiguousarray(tensor.kept)
    shown = kept[:: max(1, math.ceil(kept.size / value_count))]
    if np.iscomplexobj(shown):
        shown = np.abs(shown)
    return TensorDigest(
        name=name,
        shape=tuple(int(length) for length in tensor.shape),
        dtype=tensor.dtype,
        hashed=int(kept.size),
        sha256=hashlib.sha256(kept.tobytes()).hexdigest(),
        values=tuple(float(f"{value:.9g}") for value in shown.astype(np.float64)),
        nonfinite=tensor.nonfinite,
    )
