"""An image as the preprocessing of torchvision's models takes it; imported in workers only."""

from pathlib import Path

import torch
from PIL import Image
from torchvision.transforms.v2.functional import pil_to_tensor, to_dtype

from mps_experiments.workloads.images import read_image


def read_pixels(path: Path) -> Image.Image | torch.Tensor:
    """Read an image: RGB of 8 bits as it is, grey of 16 bits as three float planes from 0 to 1.

    The preprocessing takes both; of Pillow's 16-bit modes it knows none.
    """
    pixels = read_image(path).pixels
    if pixels.mode == "RGB":
        return pixels
    grey: torch.Tensor = to_dtype(pil_to_tensor(pixels), torch.float32, scale=True)
    return grey.repeat(3, 1, 1)
