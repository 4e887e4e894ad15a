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
# Types that NumPy has as well.
_EXACT = (
    torch.float16,
    torch.float32,
    torch.float64,
    torch.int8,
    torch.int16,
    torch.int32,
    torch.int64,
    torch.uint8,
    torch.bool,
    torch.complex64,
    torch.complex128,
)


def digest_output(output: object) -> OutputDigest:
    """Digest every tensor and array of an output, at any depth. Skip everything else.

    A dataclass counts as the mapping of its fields; a nested, sparse or quantized tensor as its parts.
    Of a large tensor, evenly spaced elements are hashed, the same ones in every worker.
    """
    tensors = [(name, value) for name, value in _tensors(output, "") if value.size][:_MAX_TENSORS]
    share = _MAX_VALUES // max(1, len(tensors))
    return tuple(_digest(name, value, share) for name, value in tensors)


@dataclasses.dataclass(frozen=True, eq=False)
class _Strided:
    """A tensor thinned out and copied to the host. `nonfinite` counts the elements of the whole tensor."""

    shape: tuple[int, ...]
    dtype: str
    kept: np.ndarray
    nonfinite: int

    @property
    def size(self) -> int:
        return int(self.kept.size)


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
        case Mapping():
            for key, value in output.items():
                yield from _tensors(value, f"{name}.{key}" if name else str(key))
        case list() | tuple():
            for index, value in enumerate(output):
                yield from _tensors(value, f"{name}.{index}" if name else str(index))
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
    if tensor.layout is torch.sparse_coo:
        whole = tensor.detach().coalesce()
        return {"indices": whole.indices(), "values": whole.values()}
    if tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        crow, col = tensor.crow_indices(), tensor.col_indices()
        return {"crow_indices": crow, "col_indices": col, "values": tensor.values()}
    if tensor.layout in (torch.sparse_csc, torch.sparse_bsc):
        ccol, row = tensor.ccol_indices(), tensor.row_indices()
        return {"ccol_indices": ccol, "row_indices": row, "values": tensor.values()}
    return tensor.dequantize() if tensor.is_quantized else None


def _from_torch(tensor: torch.Tensor) -> _Strided:
    flat = tensor.detach().reshape(-1)
    kept = flat[:: _stride(flat.numel())].resolve_conj().resolve_neg()
    if kept.dtype not in _EXACT:  # NumPy has no bfloat16 or float8; float32 holds each of their values
        kept = kept.to(torch.float32)
    dtype = str(tensor.dtype).removeprefix("torch.")
    return _Strided(tuple(tensor.shape), dtype, kept.cpu().numpy(), _nonfinite(flat))


def _nonfinite(flat: torch.Tensor) -> int:
    if not (flat.is_floating_point() or flat.is_complex()):
        return 0
    exact = flat if flat.dtype in _EXACT else flat.to(torch.float32)  # float8 has no isfinite
    return flat.numel() - int(torch.isfinite(exact).sum())


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
