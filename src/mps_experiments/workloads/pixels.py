"""Read an image for torchvision's preprocessing. Imported in workers only."""

from pathlib import Path

import torch
from PIL import Image
from torchvision.transforms.v2.functional import pil_to_tensor, to_dtype

from mps_experiments.workloads.images import read_image


def read_pixels(path: Path) -> Image.Image | torch.Tensor:
    """Read an image: 8-bit RGB as it is, 16-bit grey as three float planes from 0 to 1.

    The preprocessing takes both, but none of Pillow's 16-bit modes.
    """
    pixels = read_image(path).pixels
    if pixels.mode == "RGB":
        return pixels
    grey: torch.Tensor = to_dtype(pil_to_tensor(pixels), torch.float32, scale=True)
    return grey.repeat(3, 1, 1)
