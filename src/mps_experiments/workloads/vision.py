"""List torchvision's models, and prepare inputs in the form that each kind of model takes."""

from collections.abc import Callable
from typing import Any

import torch
from torchvision.models import WeightsEnum, get_model_weights, list_models

from mps_experiments.workloads.inputs import path_of
from mps_experiments.workloads.networks import kind_of
from mps_experiments.workloads.pixels import read_pixels
from mps_experiments.workloads.spec import WorkloadSpec

_UNSUPPORTED = ("quantization", "video", "optical_flow")


def supported_models() -> list[str]:
    """List the names of the detection, classification and segmentation models."""
    return sorted(name for name in list_models() if kind_of(name) not in _UNSUPPORTED)


def build_inputs(
    spec: WorkloadSpec, device: torch.device, weights: WeightsEnum | None = None
) -> tuple[object, ...]:
    """One model input per image, on the device: ``[C,H,W]`` for detection, else ``N,C,H,W`` with N=1.

    Pixels go through the preprocessing that torchvision ships with these pretrained weights (None: with its
    default ones for the model).
    """
    pretrained = weights or get_model_weights(spec.model).DEFAULT
    preprocess: Callable[[Any], torch.Tensor] = pretrained.transforms()
    detection = kind_of(spec.model) == "detection"
    tensors = [preprocess(read_pixels(path_of(image))).to(device) for image in spec.inputs]
    return tuple([tensor] if detection else tensor.unsqueeze(0) for tensor in tensors)
