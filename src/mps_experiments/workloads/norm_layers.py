"""The normalisation layers of a model: which it has, and batch normalisation that is frozen or not."""

import re

from torch import nn

from mps_experiments.errors import ConfigError

_NORM = re.compile(r"Norm(\d[dD])?$")
_DEFAULT_EPS = 1e-5  # of nn.BatchNorm2d; below it PyTorch leaves cuDNN's kernel aside


def norm_layers(model: nn.Module) -> str:
    """Name the classes of the normalisation layers, each once; a scripted module tells its original one.

    >>> norm_layers(nn.Sequential(nn.BatchNorm2d(1), nn.BatchNorm2d(1)))
    'BatchNorm2d'
    """
    names = {str(getattr(module, "original_name", type(module).__name__)) for module in model.modules()}
    return ", ".join(sorted(name for name in names if _NORM.search(name))) or "none"


def exchange_norm_layers(model: nn.Module, wanted: str, name: str) -> None:
    """Give the model ``batch`` or ``frozen`` batch normalisation with the same values; ``auto`` leaves it.

    Args:
        model: Changed in place.
        wanted: The option ``workload.norm_layer``.
        name: The model's, for a person.

    Raises:
        ConfigError: If it has no batch normalisation.
    """
    if wanted == "auto":
        return
    from torchvision.ops import FrozenBatchNorm2d  # here: a factory without torchvision does not pay for it

    places = [
        (parent, child, layer)
        for parent in model.modules()
        for child, layer in parent.named_children()
        if isinstance(layer, nn.BatchNorm2d | FrozenBatchNorm2d)
    ]
    if not places:
        what = f"{name} has no batch normalisation (norm layer: {norm_layers(model)}); auto works"
        raise ConfigError("workload.norm_layer", wanted, what)
    to: type[nn.Module] = nn.BatchNorm2d if wanted == "batch" else FrozenBatchNorm2d
    for parent, child, layer in places:
        if not isinstance(layer, to):
            setattr(parent, child, _converted(layer, to))


def _converted(layer: nn.Module, to: type[nn.Module]) -> nn.Module:
    """Make a layer of the other class; eps 0, as torchvision's detectors have, becomes the usual one."""
    state = layer.state_dict()
    eps = layer.__dict__["eps"]
    eps = max(eps, _DEFAULT_EPS) if to is nn.BatchNorm2d else eps
    with state["weight"].device:
        converted = to(len(state["weight"]), eps=eps)
    converted.load_state_dict(state, strict=False, assign=True)
    return converted
