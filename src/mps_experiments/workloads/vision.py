"""torchvision models by name, built and fed in the form that each kind of model wants."""

import contextlib
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torchvision.models import get_model, get_model_builder, get_model_weights, list_models

from mps_experiments.workloads.inputs import path_of
from mps_experiments.workloads.pixels import read_pixels
from mps_experiments.workloads.spec import WorkloadSpec

_SLACK_BYTES = 2**20
_UNSUPPORTED = ("quantization", "video", "optical_flow")


def supported_models() -> list[str]:
    """Names of the detection, classification and segmentation models."""
    return sorted(name for name in list_models() if _kind(name) not in _UNSUPPORTED)


def _kind(name: str) -> str:
    """``detection``, ``segmentation``, ..., or ``classification`` for what is not in a package of its own."""
    module = get_model_builder(name).__module__.split(".")
    return module[2] if module[2] in ("detection", "segmentation", *_UNSUPPORTED) else "classification"


def build_model(spec: WorkloadSpec, device: torch.device) -> torch.nn.Module:
    """The model in evaluation mode on the device.

    Random weights are drawn on the device itself from `spec.seed`. A detection model then keeps every box
    (score threshold 0), so that the work of an iteration does not depend on what the photo shows.

    Raises:
        ValueError: If the weights file does not fit the model.
    """
    torch.manual_seed(spec.seed)
    weights = "DEFAULT" if spec.weights == "default" else None
    arguments: dict[str, Any] = {"weights": weights}
    if weights is None and _kind(spec.model) in ("detection", "segmentation"):
        arguments["weights_backbone"] = None
    if spec.weights == "random":
        arguments |= _constant_work(spec.model)
    with device:
        model: torch.nn.Module = get_model(spec.model, **arguments)
    if spec.weights not in ("random", "default"):
        load_weights(model, spec.weights)
    return model.to(device).eval()


def load_weights(model: torch.nn.Module, path: str) -> None:
    """Load a state dict, all keys and shapes matching.

    Raises:
        ValueError: If the file is no state dict, or does not fit.
    """
    _refuse_bomb(Path(path))
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (
        Exception
    ) as error:  # torch.load raises UnpicklingError, RuntimeError, EOFError, ... by kind of damage
        raise ValueError(
            f"not a state dict that torch.load(weights_only=True) reads ({type(error).__name__})"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise ValueError("not a state dict: it must map names to tensors")
    try:
        missing, unexpected = model.load_state_dict(state, strict=False, assign=_is_meta(model))
    except RuntimeError as error:
        raise ValueError(f"does not fit the model: {str(error).splitlines()[-1].strip()}") from error
    if missing or unexpected:
        raise ValueError(
            f"does not fit the model: {len(missing)} keys missing, {len(unexpected)} unexpected, "
            f"the first is {[*missing, *unexpected][0]}"
        )


def _refuse_bomb(path: Path) -> None:
    """Refuse an archive that unpacks to more than it holds; torch.save does not compress."""
    with contextlib.suppress(zipfile.BadZipFile, NotImplementedError), zipfile.ZipFile(path) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist())
        if unpacked > 2 * path.stat().st_size + _SLACK_BYTES:
            raise ValueError(f"unpacks to {unpacked} bytes, far more than it has; save it with torch.save")


def _is_meta(model: torch.nn.Module) -> bool:
    return any(parameter.is_meta for parameter in model.parameters())


def _constant_work(name: str) -> dict[str, float]:
    """The argument that makes a detection model keep every box; empty for other models."""
    if _kind(name) != "detection":
        return {}
    rcnn = "rcnn" in name
    return {"box_score_thresh" if rcnn else "score_thresh": 0.0}


def build_inputs(spec: WorkloadSpec, device: torch.device) -> tuple[object, ...]:
    """One model input per image, on the device: ``[C,H,W]`` for detection, else ``N,C,H,W`` with N=1.

    Pixels go through the preprocessing that torchvision ships with the model's pretrained weights.
    """
    preprocess: Callable[[Any], torch.Tensor] = get_model_weights(spec.model).DEFAULT.transforms()
    detection = _kind(spec.model) == "detection"
    tensors = [preprocess(read_pixels(path_of(image))).to(device) for image in spec.inputs]
    return tuple([tensor] if detection else tensor.unsqueeze(0) for tensor in tensors)
