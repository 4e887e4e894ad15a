"""List torchvision's models, and prepare inputs in the form that each kind of model takes."""

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torchvision.models import WeightsEnum, get_model_weights, list_models
from torchvision.transforms.v2.functional import pil_to_tensor, to_dtype

from mps_experiments.errors import ConfigError
from mps_experiments.record.workload import WorkloadSpec
from mps_experiments.workloads.images import read_image
from mps_experiments.workloads.inputs import path_of
from mps_experiments.workloads.networks import kind_of

_UNSUPPORTED = ("quantization", "video", "optical_flow")


def supported_models() -> list[str]:
    """List the names of the detection, classification and segmentation models."""
    return sorted(name for name in list_models() if kind_of(name) not in _UNSUPPORTED)


def build_inputs(
    spec: WorkloadSpec, device: torch.device, weights: WeightsEnum | None = None
) -> tuple[object, ...]:
    """Return the inputs of the model on the device: lists of ``C,H,W`` for detection, else ``N,C,H,W``.

    Each holds as many images as the batch. They are taken in turn, until the first image comes first again.
    Pixels go through the preprocessing that torchvision ships with these pretrained weights (None: with its
    default ones for the model).

    Raises:
        ConfigError: If images of different sizes would have to be stacked.
    """
    pretrained = weights or get_model_weights(spec.model).DEFAULT
    preprocess: Callable[[Any], torch.Tensor] = pretrained.transforms()
    detection = kind_of(spec.model) == "detection"
    tensors = [preprocess(read_pixels(path_of(image))).to(device) for image in spec.inputs]
    turns = itertools.cycle(tensors)
    count = len(tensors) // math.gcd(len(tensors), spec.batch)
    batches = [list(itertools.islice(turns, spec.batch)) for _ in range(count)]
    if detection:
        return tuple(batches)
    sizes = sorted({tuple(tensor.shape) for tensor in tensors})
    if spec.batch > 1 and len(sizes) > 1:
        what = f"{spec.model} stacks images of one size, but these have {sizes[0]} and {sizes[-1]}"
        raise ConfigError("workload.batch", spec.batch, f"{what}; give images of one shape")
    return tuple(torch.stack(batch) for batch in batches)


def read_pixels(path: Path) -> Image.Image | torch.Tensor:
    """Read an image: 8-bit RGB as it is, 16-bit grey as three float planes from 0 to 1.

    The preprocessing takes both, but none of Pillow's 16-bit modes.
    """
    pixels = read_image(path).pixels
    if pixels.mode == "RGB":
        return pixels
    grey: torch.Tensor = to_dtype(pil_to_tensor(pixels), torch.float32, scale=True)
    return grey.repeat(3, 1, 1)
