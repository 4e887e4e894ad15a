"""Name the normalisation layers of a model, and exchange its batch normalisation for frozen or back."""

import re

from torch import nn

from mps_experiments.errors import ConfigError

_NORM = re.compile(r"Norm(\d[dD])?$")
_DEFAULT_EPS = 1e-5  # of nn.BatchNorm2d; with less, PyTorch does not use cuDNN's kernel


def norm_layers(model: nn.Module) -> str:
    """Name the classes of the normalisation layers, each once; of a scripted module its original class.

    >>> norm_layers(nn.Sequential(nn.BatchNorm2d(1), nn.BatchNorm2d(1)))
    'BatchNorm2d'
    """
    names = {str(getattr(module, "original_name", type(module).__name__)) for module in model.modules()}
    return ", ".join(sorted(name for name in names if _NORM.search(name))) or "none"


def exchange_norm_layers(model: nn.Module, wanted: str, name: str) -> None:
    """Give a model ``batch`` or ``frozen`` batch normalisation with the same values. No-op for ``auto``.

    Args:
        model: Changed in place.
        wanted: Value of the option ``workload.norm_layer``.
        name: Name of the model, for messages.

    Raises:
        ConfigError: If it has no batch normalisation.
    """
    if wanted == "auto":
        return
    # Here, so that a factory without torchvision does not import it.
    from torchvision.ops import FrozenBatchNorm2d

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
    """Convert a layer to the other class. An eps of 0, as in torchvision's detectors, becomes the default."""
    state = layer.state_dict()
    eps = layer.__dict__["eps"]
    eps = max(eps, _DEFAULT_EPS) if to is nn.BatchNorm2d else eps
    with state["weight"].device:
        converted = to(len(state["weight"]), eps=eps)
    converted.load_state_dict(state, strict=False, assign=True)
    return converted
