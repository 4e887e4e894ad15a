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
# Names that wrappers of PyTorch (DataParallel, compile, FSDP, checkpointing, AveragedModel) put into a name.
_WRAPPER = re.compile(
    r"(?:^|(?<=\.))(?:module|_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.", re.ASCII
)
_AVERAGED = {"ema", "swa", "avg", "averaged", "average", "shadow"}


@dataclass(frozen=True, kw_only=True)
class Weights:
    """The weights of one model, found in a checkpoint.

    Attributes:
        tensors: By the model's own names, as far as it has them.
        found: What was done to find them, for a person; empty for a plain state dict.
    """

    tensors: dict[str, torch.Tensor]
    found: str = ""


def read_checkpoint(path: Path) -> Mapping[Any, Any]:
    """Read what a weights file holds: safetensors, or what ``torch.load(weights_only=True)`` reads.

    Raises:
        ValueError: If it is something else, with what it is.
    """
    refuse_foreign(path)
    if is_safetensors(path):
        try:
            return dict(load_file(path))
        except safetensors.SafetensorError as error:
            raise ValueError(f"no whole safetensors file ({error}); copy or download it again") from error
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # UnpicklingError, RuntimeError, EOFError, ..., by kind of damage
        raise ValueError(unreadable(path, error)) from error
    if not isinstance(loaded, Mapping):
        raise ValueError(f"not a state dict: it holds a {type(loaded).__name__}, not tensors by name")  # noqa: TRY004
    return loaded


def find_weights(
    loaded: Mapping[Any, Any], names: Collection[str], optional: Collection[str], key: str | None = None
) -> Weights:
    """Find the one set of weights that has the model's names, whatever it is wrapped in.

    Training programs put a state dict under a key of theirs or a prefix before its names. Both are the same
    once dicts in dicts are written as dotted names: a prefix, before which the model's names follow.

    Args:
        loaded: What the file holds.
        names: Those of the model's state dict.
        optional: Those among them that a file may lack.
        key: The prefix that the user named.

    Raises:
        ConfigError: If several sets fit, or none is under `key`.
        ValueError: If it holds no tensors by name.
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
    """Show the first names; a file's may be long, and hold what would tell a terminal to do something."""
    every = list(names)
    shown = [name.encode("unicode_escape").decode()[:80] for name in every[:most]]
    return ", ".join(shown) + (f" and {len(every) - most} more" if len(every) > most else "")


@dataclass(frozen=True, kw_only=True)
class _Prefix:
    """What stands before the model's names; `others` are those that fit as well."""

    text: str
    others: tuple[str, ...] = ()


def _flattened(
    node: Mapping[Any, Any], before: str = "", depth: int = _DEPTH, seen: set[int] | None = None
) -> Iterator[tuple[str, torch.Tensor]]:
    """Each tensor with its dotted name; a dict that is there twice counts once."""
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
    # What torchvision renames while it loads (its own old files) fits none, but has most of the names.
    return _Prefix(text=max(counts, key=lambda prefix: (counts[prefix], -len(prefix)), default=""))


def _prefixes(own: list[str], names: set[str]) -> Iterator[str]:
    """For each name, every beginning after which one of the model's names follows."""
    for name in own:
        start = 0
        while start >= 0:
            if name[start:] in names:
                yield name[:start]
            start = name.find(".", start) + 1 or -1


def label(prefix: str) -> str:
    """Write a prefix as ``workload.weights_key`` takes it."""
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
        what = (
            f"quantized ({tensor.dtype})"
            if tensor.is_quantized
            else "without data (on the meta device)"
            if tensor.is_meta
            else f"complex ({tensor.dtype})"
            if tensor.is_complex()
            else f"not dense ({tensor.layout})"
            if tensor.layout != torch.strided
            else None
        )
        if what:
            raise ValueError(f"{listed([name])} is {what}; save the weights as plain tensors")
