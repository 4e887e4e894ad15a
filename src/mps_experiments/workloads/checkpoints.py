"""Read a weights file without running code, and find the weights of one model in it."""

import re
import zipfile
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load_file

from mps_experiments.errors import ConfigError
from mps_experiments.workloads.files import AGAIN, HEAD_BYTES, SAVE, first_bytes, no_weights

_SLACK_BYTES = 2**20
_MAX_SAFETENSORS_HEADER = 100_000_000  # bytes, the library's own limit
_LEGACY = b"l\xfc\x9cF\xf9 j\xa8P\x19."  # torch.save before 1.6 begins with this number, pickled
_SHARD = re.compile(r"-\d+-of-(?!0*1\.)0*(\d+)\.\w+$")
# Names of files in zip archives that are no checkpoints, though some hold a data.pkl, too.
_ARCHIVES = {
    "a TorchScript or torch.export archive, which is a program": re.compile(
        r"(^|/)(constants\.pkl|code/.*|archive_format|serialized_exported_program\.json)$"
    ),
    "a Keras file": re.compile(r"(^|/)model\.weights\.h5$"),
}
# Parts that PyTorch's wrappers (DataParallel, compile, FSDP, checkpointing, AveragedModel) add to a name.
_WRAPPER = re.compile(
    r"(?:^|(?<=\.))(?:module|_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.", re.ASCII
)
_LISTED = 3  # names in a message
_AVERAGED = {"ema", "swa", "avg", "averaged", "average", "shadow"}


def read_checkpoint(path: Path) -> Mapping[Any, Any]:
    """Read a weights file: safetensors, or anything that ``torch.load(weights_only=True)`` reads.

    Raises:
        ValueError: If it is something else. The text names the kind of file and what to do.
    """
    head = first_bytes(path, HEAD_BYTES)
    if shard := _SHARD.search(path.name):
        raise ValueError(f"one shard of {shard[1]}; shards are not joined: save all weights as one file")
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= _MAX_SAFETENSORS_HEADER:
        try:
            return dict(load_file(path))
        except safetensors.SafetensorError as error:
            raise ValueError(f"a damaged safetensors file ({error}); {AGAIN}") from error
    if head.startswith(b"PK"):
        _refuse_archive(path)
    elif kind := no_weights(head):
        raise ValueError(kind)
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # UnpicklingError, RuntimeError, EOFError, ...: it depends on the damage
        raise ValueError(_unreadable(head, error)) from error
    if not isinstance(loaded, Mapping):
        raise ValueError(f"not a state dict: it holds a {type(loaded).__name__}, not tensors by name")  # noqa: TRY004
    return loaded


def _refuse_archive(path: Path) -> None:
    """Refuse an archive that torch.save did not write, that is cut off, or that unpacks to far more bytes."""
    size = path.stat().st_size
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise ValueError(f"a checkpoint whose end is missing ({size} bytes are there); {AGAIN}") from error
    for what, name in _ARCHIVES.items():
        if any(name.search(entry.filename) for entry in entries):
            raise ValueError(f"{what}; {SAVE}")
    if not any(f"/{entry.filename}".endswith("/data.pkl") for entry in entries):
        raise ValueError(f"a zip archive without a checkpoint; {SAVE}")
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > 2 * size + _SLACK_BYTES:  # torch.save does not compress
        raise ValueError(f"unpacks to {unpacked} bytes, far more than it has; save it with torch.save")


def _unreadable(head: bytes, error: Exception) -> str:
    """Explain why torch refused a file that looked like a checkpoint; its text names a refused class."""
    if refused := re.search(r"GLOBAL ([\w.<>]+)|but got <class '([\w.]+)'>", str(error)):
        return (
            f"holds {refused[1] or refused[2]}, which torch.load(weights_only=True) refuses, since a pickled "
            f"class can run code; {SAVE}"
        )
    if head.startswith(b"PK") or _LEGACY in head[:40]:
        return f"a checkpoint that is damaged or cut off ({type(error).__name__}); {AGAIN}, or {SAVE}"
    return f"not a checkpoint that torch.load(weights_only=True) reads ({type(error).__name__}); {SAVE}"


def find_weights(
    loaded: Mapping[Any, Any], names: Collection[str], optional: Collection[str], key: str | None = None
) -> tuple[dict[str, torch.Tensor], str]:
    """Find the set of weights that has the model's names, whatever it is wrapped in.

    Training programs store a state dict under a key or put a prefix before its names. Both become a prefix
    once nested dicts are written as dotted names; the model's names follow it.

    Args:
        loaded: The content of the file.
        names: Names of the model's state dict.
        optional: Names among them that a file may lack.
        key: The prefix that the user gave.

    Returns:
        The tensors by the names of the model, or by those of the file where the model has none; and a
        description of where they were found, empty for a plain state dict.

    Raises:
        ConfigError: If several sets fit, or none is under `key`.
        ValueError: If the file holds no tensors by name, or tensors that a module cannot take.
    """
    flat = dict(_flattened(loaded, set()))
    if not flat:
        keys = listed(map(str, loaded)) if loaded else "nothing"
        raise ValueError(f"not a state dict: it holds no tensors by name ({keys})")
    unwrapped = {_WRAPPER.sub("", name): tensor for name, tensor in flat.items()}
    if len(unwrapped) < len(flat):  # without the wrappers two would have one name
        unwrapped = flat
    prefix, told = _prefix(unwrapped, set(names), set(optional), key)
    inside = {
        name.removeprefix(prefix): tensor for name, tensor in unwrapped.items() if name.startswith(prefix)
    }
    top = {name.partition(".")[0] for name in names}
    tensors = {name: tensor for name, tensor in inside.items() if name.partition(".")[0] in top} or inside
    for name, tensor in tensors.items():
        unusual = tensor.is_quantized or tensor.is_meta or tensor.is_complex()
        if unusual or tensor.layout != torch.strided:
            what = f"{tensor.dtype}, {tensor.layout} on {tensor.device}".replace("torch.", "")
            raise ValueError(f"{listed([name])} is {what}; save the weights as plain tensors")
    return tensors, told


def listed(names: Iterable[str]) -> str:
    """List the first names, clipped and escaped: a file's names may be long or hold control characters."""
    every = list(names)
    shown = [name.encode("unicode_escape").decode()[:80] for name in every[:_LISTED]]
    return ", ".join(shown) + (f" and {len(every) - _LISTED} more" if len(every) > _LISTED else "")


def _flattened(
    node: Mapping[Any, Any], seen: set[int], before: str = ""
) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield each tensor with its dotted name. Visit a dict once, even if it occurs twice or in itself."""
    seen.add(id(node))
    for key, value in node.items():
        if isinstance(value, torch.Tensor) and isinstance(key, str):
            yield f"{before}{key}", value
        elif isinstance(value, Mapping) and isinstance(key, str) and id(value) not in seen:
            yield from _flattened(value, seen, f"{before}{key}.")


def _prefix(flat: Collection[str], names: set[str], optional: set[str], key: str | None) -> tuple[str, str]:
    """Return the text before the model's names, with its final dot, and what to tell of the choice."""
    counts = Counter(_prefixes(flat, names))
    required = names - optional
    fitting = [prefix for prefix in counts if all(f"{prefix}{name}" in flat for name in required)]
    candidates: Collection[str] = fitting or counts
    if key is not None:
        wanted = _WRAPPER.sub("", f"{key}.")
        if not any(name.startswith(wanted) for name in flat):
            known = listed(_label(prefix) for prefix in candidates if prefix) or "one set only"
            raise ConfigError("workload.weights_key", key, f"not in the file; it has {known}")
        candidates = [prefix for prefix in counts if prefix.startswith(wanted)] or [wanted]
    elif len(fitting) > 1:
        candidates = [prefix for prefix in fitting if not _AVERAGED & set(re.split(r"[._]", prefix.lower()))]
        if len(candidates) != 1:
            known = listed(map(_label, fitting))
            what = f"several sets of weights fit; name one, for example {_label(fitting[0])}, of: {known}"
            raise ConfigError("workload.weights_key", "", what)
    # Torchvision's own old files fit none, since it renames as it loads; they have most of the names.
    prefix = max(candidates, key=lambda each: (counts[each], -len(each)), default="")
    told = f"took the weights under {listed([_label(prefix)])}" if prefix else ""
    others = [_label(other) for other in fitting if other != prefix]
    if key is None and others:
        told = f"{told or 'took the plain weights'}, not those under {listed(others)}"
        told = f"{told} (workload.weights_key={others[0]} takes them)"
    return prefix, told


def _prefixes(flat: Collection[str], names: set[str]) -> Iterator[str]:
    """Yield, for each name, every prefix that is followed by one of the model's names."""
    for name in flat:
        start = 0
        while start >= 0:
            if name[start:] in names:
                yield name[:start]
            start = name.find(".", start) + 1 or -1


def _label(prefix: str) -> str:
    """Write a prefix in the form that ``workload.weights_key`` takes."""
    return prefix.removesuffix(".") or "null"
