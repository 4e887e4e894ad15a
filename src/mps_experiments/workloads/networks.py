"""Build a torchvision model with the modules that it has when pretrained, whatever its weights are.

With weights, a builder makes other modules: ``FrozenBatchNorm2d`` in detectors, ``transform_input`` in
googlenet and inception, an auxiliary head in segmentation models, another image size in some transformers.
No argument of a builder asks for these without a download, and some builders change what they loaded (old
names, ``eps``, auxiliary heads). So each builder gets one of its weights entries, and only the download is
replaced: by nothing for random weights, or by the content of the user's file.
"""

import contextlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torchvision.models import WeightsEnum, get_model, get_model_builder, get_model_weights
from torchvision.ops import FrozenBatchNorm2d

from mps_experiments.errors import ConfigError
from mps_experiments.record.workload import WorkloadSpec
from mps_experiments.workloads.checkpoints import find_weights, listed, read_checkpoint

# Heads for training only. Torchvision builds a model without those that a file lacks.
_AUXILIARY = ("aux_classifier", "aux1", "aux2", "AuxLogits")
_DEFAULT_EPS = 1e-5  # of BatchNorm2d; with less, PyTorch does not use cuDNN's kernel
_PACKAGES = ("detection", "segmentation", "quantization", "video", "optical_flow")


@dataclass(frozen=True, kw_only=True)
class Network:
    """A model that was built.

    Attributes:
        weights: The torchvision entry whose modules and preprocessing it has.
        loaded: Description of how its weights file was read; empty without anything to say.
    """

    model: torch.nn.Module
    weights: WeightsEnum
    loaded: str = ""


def kind_of(name: str) -> str:
    """Return the package of a model, such as ``detection``; ``classification`` if it is in none."""
    module = get_model_builder(name).__module__.split(".")
    return module[2] if module[2] in _PACKAGES else "classification"


def build_network(spec: WorkloadSpec, device: torch.device) -> Network:
    """Build the model in evaluation mode on the device.

    Random weights are drawn on the device itself from `spec.seed`. A detection model then keeps every box
    (score threshold 0), so that the work of an iteration does not depend on the photo.

    Raises:
        ValueError: If the weights do not fit the model.
        ConfigError: If another option of the workload does not.
    """
    torch.manual_seed(spec.seed)
    network = _built(spec, device)
    _exchange_norm_layers(network.model, spec.norm_layer, spec.model)
    network.model.to(device).eval()
    return network


def _built(spec: WorkloadSpec, device: torch.device) -> Network:
    if spec.weights_file is not None:
        return _from_file(spec, Path(spec.weights_file), device)
    if spec.weights != "random":
        entry = named_weights(spec.model, spec.weights)
        return Network(model=_call_builder(spec.model, entry, device), weights=entry)
    entry = get_model_weights(spec.model).DEFAULT
    constant_work = {}
    if kind_of(spec.model) == "detection":
        constant_work["box_score_thresh" if "rcnn" in spec.model else "score_thresh"] = 0.0
    with _instead_of_download({}, lambda _model, _state: None):
        return Network(model=_call_builder(spec.model, entry, device, **constant_work), weights=entry)


def _exchange_norm_layers(model: torch.nn.Module, wanted: str, name: str) -> None:
    """Give a model ``batch`` or ``frozen`` batch normalisation with the same values. No-op for ``auto``."""
    if wanted == "auto":
        return
    places = [
        (parent, child, layer)
        for parent in model.modules()
        for child, layer in parent.named_children()
        if isinstance(layer, torch.nn.BatchNorm2d | FrozenBatchNorm2d)
    ]
    if not places:
        raise ConfigError("workload.norm_layer", wanted, f"{name} has no batch normalisation; auto works")
    to: type[torch.nn.Module] = torch.nn.BatchNorm2d if wanted == "batch" else FrozenBatchNorm2d
    for parent, child, layer in places:
        if not isinstance(layer, to):
            setattr(parent, child, _converted(layer, to))


def _converted(layer: torch.nn.Module, to: type[torch.nn.Module]) -> torch.nn.Module:
    """Convert a layer to the other class. An eps of 0, as in torchvision's detectors, becomes the default."""
    state = layer.state_dict()
    eps = layer.__dict__["eps"]
    eps = max(eps, _DEFAULT_EPS) if to is torch.nn.BatchNorm2d else eps
    with state["weight"].device:
        converted = to(len(state["weight"]), eps=eps)
    converted.load_state_dict(state, strict=False, assign=True)
    return converted


def named_weights(model: str, name: str) -> WeightsEnum:
    """Return the entry named ``default``, ``IMAGENET1K_V1`` or ``ResNet50_Weights.IMAGENET1K_V1``, say.

    Raises:
        ValueError: If this model has no such weights.
    """
    entries = get_model_weights(model)
    owner, _, member = name.rpartition(".")
    if owner in ("", entries.__name__) and member.upper() in entries.__members__:
        return entries[member.upper()]
    known = ", ".join(["DEFAULT", *(entry.name for entry in entries)])
    raise ValueError(f"{model} has no such weights; it has {known}")


def _from_file(spec: WorkloadSpec, path: Path, device: torch.device) -> Network:
    """Build the model of torchvision's first entry that the file fits.

    Entries of a model differ in more than values only for a few models, such as vit_b_16 in its image size.
    """
    loaded = read_checkpoint(path)
    entries = get_model_weights(spec.model)
    in_order = sorted(
        entries, key=lambda entry: (Path(entry.url).name != path.name, entry != entries.DEFAULT)
    )
    misfits = []
    for entry in in_order:
        told = list[str]()

        def load(model: torch.nn.Module, state: _State, told: list[str] = told) -> None:
            told += _load_into(model, state, spec, getattr(loaded, "_metadata", {}))

        try:
            with _instead_of_download(loaded, load):
                model = _call_builder(spec.model, entry, device)
        except ValueError as error:
            misfits.append(error)
            continue
        if entry != entries.DEFAULT:
            told.append(f"read as {entries.__name__}.{entry.name}")
        return Network(model=model, weights=entry, loaded="; ".join(told))
    raise misfits[0]


def _call_builder(name: str, entry: WeightsEnum, device: torch.device, **arguments: Any) -> torch.nn.Module:
    # Regnet computes its widths with tensors, which have no values on meta.
    on_meta = device.type == "meta" and not name.startswith("regnet")
    with device if on_meta or device.type != "meta" else contextlib.nullcontext():
        model: torch.nn.Module = get_model(name, weights=entry, progress=False, **arguments)
    return model


class _State(dict[Any, Any]):
    """The state that a builder passes to the model in place of downloaded weights."""


@contextlib.contextmanager
def _instead_of_download(
    state: Mapping[Any, Any], take: Callable[[torch.nn.Module, _State], None]
) -> Iterator[None]:
    """Give builders this state instead of a download, and have `take` put it into the model."""
    get_state_dict, load_state_dict = WeightsEnum.get_state_dict, torch.nn.Module.load_state_dict

    def load(model: torch.nn.Module, given: Mapping[str, Any], *rest: Any, **options: Any) -> object:
        if isinstance(given, _State):
            take(model, given)
            return None
        return load_state_dict(model, given, *rest, **options)

    WeightsEnum.get_state_dict = lambda *_, **__: _State(state)
    torch.nn.Module.load_state_dict = load  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        WeightsEnum.get_state_dict = get_state_dict
        torch.nn.Module.load_state_dict = load_state_dict  # type: ignore[method-assign]


def _load_into(
    model: torch.nn.Module, state: Mapping[Any, Any], spec: WorkloadSpec, metadata: Mapping[str, Any]
) -> list[str]:
    """Load the content of a weights file into the model, and describe what was done.

    `metadata` is what the file says of the versions of the modules; empty if it does not. Names or shapes
    that do not fit are a `ValueError`.
    """
    own = model.state_dict()
    optional = {name for name in own if _is_counter(name) or _top(name) in _AUXILIARY}
    given, found = find_weights(state, own, optional, spec.weights_key)
    told = [found] if found else []
    given_tops = {_top(name) for name in given}
    for head in sorted({_top(name) for name in own} & set(_AUXILIARY) - given_tops):
        setattr(model, head, None)
        if head == "aux_classifier":  # the only one that would run outside training
            told.append(f"built without {head}, which the file lacks")
    if hasattr(model, "aux_logits"):
        setattr(model, "aux_logits", any(getattr(model, head, None) is not None for head in _AUXILIARY))  # noqa: B010
    tensors = OrderedDict(given)
    # Layers rename the tensors of an old file, unless the file says that it has their version.
    version = metadata.get("", {}).get("version") or getattr(model, "_version", None)
    tensors._metadata = {"": {"version": version}}  # type: ignore[attr-defined]
    on_meta = any(parameter.is_meta for parameter in model.parameters())
    try:
        missing, unexpected = model.load_state_dict(tensors, strict=False, assign=on_meta)
    except RuntimeError as error:
        what = _other_shapes(own, tensors) or str(error).splitlines()[-1].strip()
        raise ValueError(f"does not fit {spec.model}: {what}") from error
    lacking = [name for name in missing if not _is_counter(name)]
    unknown = [name for name in unexpected if not _is_counter(name)]
    if lacking or unknown:
        what = f"missing names: {len(lacking)} of {len(own)} ({listed(lacking)})" if lacking else ""
        more = f"unknown names: {len(unknown)} ({listed(unknown)})" if unknown else ""
        raise ValueError(f"does not fit {spec.model}: {'; '.join(filter(None, (what, more)))}")
    held = {tensor.dtype for name, tensor in tensors.items() if name in own and own[name].is_floating_point()}
    runs_as = next(iter(own.values())).dtype
    if others := sorted(str(dtype) for dtype in held - {runs_as}):
        told.append(f"holds {', '.join(others)}, runs as {runs_as}".replace("torch.", ""))
    return told


def _top(name: str) -> str:
    return name.partition(".")[0]


def _is_counter(name: str) -> bool:
    """Return whether only training reads this tensor. Files from before PyTorch 1.0 lack it."""
    return name.endswith("num_batches_tracked")


def _other_shapes(own: Mapping[str, torch.Tensor], given: Mapping[str, torch.Tensor]) -> str:
    """Describe the last tensor of another shape, which shows the number of classes; empty without one."""
    names = [name for name, tensor in own.items() if name in given and given[name].shape != tensor.shape]
    if not names:
        return ""
    last = names[-1]
    more = f", and {len(names) - 1} more differ" if len(names) > 1 else ""
    shapes = f"{list(given[last].shape)} in the file, {list(own[last].shape)} in the model"
    few = len(names) <= max(2, len(own) // 20)  # a head, not another network
    hint = "; a factory can build another number of classes (workload=custom)" if few else ""
    return f"{last} is {shapes}{more}{hint}"
