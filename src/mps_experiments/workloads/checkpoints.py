"""Read a weights file without running code, and find the weights of one model in it."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load_file

from mps_experiments.errors import ConfigError
from mps_experiments.workloads.checkpoint_kinds import is_safetensors, refuse_foreign, unreadable

_DEPTH = 6  # of dicts in dicts
# Parts that PyTorch's wrappers (DataParallel, compile, FSDP, checkpointing, AveragedModel) add to a name.
_WRAPPER = re.compile(
    r"(?:^|(?<=\.))(?:module|_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.", re.ASCII
)
_AVERAGED = {"ema", "swa", "avg", "averaged", "average", "shadow"}


@dataclass(frozen=True, kw_only=True)
class Weights:
    """The weights of one model, found in a checkpoint.

    Attributes:
        tensors: The tensors by the names of the model, or by those of the file where the model has none.
        found: Description of where they were found; empty for a plain state dict.
    """

    tensors: dict[str, torch.Tensor]
    found: str = ""


def read_checkpoint(path: Path) -> Mapping[Any, Any]:
    """Read a weights file: safetensors, or anything that ``torch.load(weights_only=True)`` reads.

    Raises:
        ValueError: If it is something else. The text names the kind of file.
    """
    refuse_foreign(path)
    if is_safetensors(path):
        try:
            return dict(load_file(path))
        except safetensors.SafetensorError as error:
            raise ValueError(f"a damaged safetensors file ({error}); copy or download it again") from error
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # UnpicklingError, RuntimeError, EOFError, ...: it depends on the damage
        raise ValueError(unreadable(path, error)) from error
    if not isinstance(loaded, Mapping):
        raise ValueError(f"not a state dict: it holds a {type(loaded).__name__}, not tensors by name")  # noqa: TRY004
    return loaded


def find_weights(
    loaded: Mapping[Any, Any], names: Collection[str], optional: Collection[str], key: str | None = None
) -> Weights:
    """Find the set of weights that has the model's names, whatever it is wrapped in.

    Training programs store a state dict under a key or put a prefix before its names. Both become a prefix
    once nested dicts are written as dotted names; the model's names follow it.

    Args:
        loaded: The content of the file.
        names: Names of the model's state dict.
        optional: Names among them that a file may lack.
        key: The prefix that the user gave.

    Raises:
        ConfigError: If several sets fit, or none is under `key`.
        ValueError: If the file holds no tensors by name, or tensors that a module cannot take.
    """
    flat = dict(_flattened(loaded))
    if not flat:
        keys = listed(map(str, loaded)) if loaded else "nothing"
        raise ValueError(f"not a state dict: it holds no tensors by name ({keys})")
    unwrapped = {name: _WRAPPER.sub("", name) for name in flat}
    if len(set(unwrapped.values())) < len(flat):
        unwrapped = {name: name for name in flat}
    prefix = _prefix(list(unwrapped.values()), set(names), set(optional), key)
    inside = {
        name: own.removeprefix(prefix.text) for name, own in unwrapped.items() if own.startswith(prefix.text)
    }
    top = {name.partition(".")[0] for name in names}
    tensors = {own: flat[name] for name, own in inside.items() if own.partition(".")[0] in top}
    if not tensors:
        tensors = {own: flat[name] for name, own in inside.items()}
    _refuse_unusual(tensors)
    used = [name for name, own in inside.items() if own in tensors]
    return Weights(tensors=tensors, found=", ".join(_told(loaded, used, unwrapped, prefix)))


def listed(names: Iterator[str] | Collection[str], most: int = 3) -> str:
    """List the first names, clipped and escaped: a file's names may be long or hold control characters."""
    every = list(names)
    shown = [name.encode("unicode_escape").decode()[:80] for name in every[:most]]
    return ", ".join(shown) + (f" and {len(every) - most} more" if len(every) > most else "")


@dataclass(frozen=True, kw_only=True)
class _Prefix:
    """The text before the model's names.

    Attributes:
        text: The prefix, with its final dot; empty for none.
        others: Other prefixes that fit as well.
    """

    text: str
    others: tuple[str, ...] = ()


def _flattened(
    node: Mapping[Any, Any], before: str = "", depth: int = _DEPTH, seen: set[int] | None = None
) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield each tensor with its dotted name. Visit a dict once, even if it occurs twice or in itself."""
    seen = set() if seen is None else seen
    seen.add(id(node))
    for key, value in node.items():
        if not isinstance(key, str):
            continue
        if isinstance(value, torch.Tensor):
            yield f"{before}{key}", value
        elif isinstance(value, Mapping) and depth and id(value) not in seen:
            yield from _flattened(value, f"{before}{key}.", depth - 1, seen)


def _prefix(in_order: list[str], names: set[str], optional: set[str], key: str | None) -> _Prefix:
    own = set(in_order)
    counts = Counter(_prefixes(in_order, names))
    required = names - optional
    fitting = [prefix for prefix in counts if all(f"{prefix}{name}" in own for name in required)]
    if key is not None:
        wanted = _WRAPPER.sub("", f"{key}.")
        if not any(name.startswith(wanted) for name in own):
            known = listed([label(prefix) for prefix in fitting or counts if prefix])
            raise ConfigError(
                "workload.weights_key", key, f"not in the file; it has {known or 'one set only'}"
            )
        inner = [prefix for prefix in counts if prefix.startswith(wanted)]
        return _Prefix(text=max(inner, key=lambda prefix: (counts[prefix], -len(prefix)), default=wanted))
    if len(fitting) > 1:
        plain = [prefix for prefix in fitting if not _is_averaged(prefix)]
        if len(plain) != 1:
            known = listed([label(prefix) for prefix in fitting])
            what = f"several sets of weights fit; name one, for example {label(fitting[0])}, of: {known}"
            raise ConfigError("workload.weights_key", "", what)
        return _Prefix(text=plain[0], others=tuple(prefix for prefix in fitting if prefix != plain[0]))
    if fitting:
        return _Prefix(text=fitting[0])
    # Torchvision's own old files fit none, since it renames as it loads; they have most of the names.
    return _Prefix(text=max(counts, key=lambda prefix: (counts[prefix], -len(prefix)), default=""))


def _prefixes(own: list[str], names: set[str]) -> Iterator[str]:
    """Yield, for each name, every prefix that is followed by one of the model's names."""
    for name in own:
        start = 0
        while start >= 0:
            if name[start:] in names:
                yield name[:start]
            start = name.find(".", start) + 1 or -1


def label(prefix: str) -> str:
    """Write a prefix in the form that ``workload.weights_key`` takes."""
    return prefix.removesuffix(".") or "null"


def _is_averaged(prefix: str) -> bool:
    return bool(_AVERAGED & set(re.split(r"[._]", prefix.lower())))


def _told(
    loaded: Mapping[Any, Any],
    used: list[str],
    unwrapped: Mapping[str, str],
    prefix: _Prefix,
) -> Iterator[str]:
    if prefix.text:
        yield f"took the weights under {listed([label(prefix.text)])}"
    if prefix.others:
        others = listed([label(other) for other in prefix.others])
        yield f"not those under {others} (workload.weights_key={label(prefix.others[0])} takes them)"
    wrappers = dict.fromkeys(
        found for name in used if unwrapped[name] != name for found in _WRAPPER.findall(name)
    )
    if wrappers:
        yield f"without {' and '.join(wrappers)} in their names"
    begun = {name[:end] for name in used for end in (*_dots(name), len(name))}
    left = [key for key in map(str, loaded) if key not in begun and not f"{key}.".startswith(prefix.others)]
    if left:
        yield f"left out {listed(left)}"


def _dots(name: str) -> Iterator[int]:
    return (place for place, letter in enumerate(name) if letter == ".")


def _refuse_unusual(tensors: Mapping[str, torch.Tensor]) -> None:
    """Refuse tensors that a module cannot take as its own."""
    for name, tensor in tensors.items():
        if what := _unusual(tensor):
            raise ValueError(f"{listed([name])} is {what}; save the weights as plain tensors")


def _unusual(tensor: torch.Tensor) -> str | None:
    if tensor.is_quantized:
        return f"quantized ({tensor.dtype})"
    if tensor.is_meta:
        return "without data (on the meta device)"
    if tensor.is_complex():
        return f"complex ({tensor.dtype})"
    return None if tensor.layout == torch.strided else f"not dense ({tensor.layout})"
