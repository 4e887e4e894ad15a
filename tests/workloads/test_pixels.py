"""Pixels as torchvision's preprocessing gets them: the right values between 0 and 1."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models import get_model_weights

from mps_experiments.workloads.pixels import read_pixels

RAMP = np.linspace(0, 65535, 320).astype(np.uint16)[None, :].repeat(240, axis=0)


@pytest.mark.parametrize("name", ["grey.png", "grey.tif", "grey.pgm", "grey.jp2"])
def test_16_bit_grey_becomes_three_planes_from_0_to_1(tmp_path: Path, name: str) -> None:
    Image.fromarray(RAMP).save(tmp_path / name)
    pixels = read_pixels(tmp_path / name)
    assert isinstance(pixels, torch.Tensor)
    assert (pixels.shape, pixels.dtype) == ((3, 240, 320), torch.float32)
    assert torch.equal(
        pixels, torch.from_numpy(RAMP.astype(np.float32) / np.float32(65535)).expand(3, -1, -1)
    )


def test_8_bit_pixels_stay_as_deployed_programs_hand_them_over(tmp_path: Path) -> None:
    Image.new("L", (3, 2), 100).save(tmp_path / "grey.png")
    pixels = read_pixels(tmp_path / "grey.png")
    assert isinstance(pixels, Image.Image)
    assert (pixels.mode, pixels.size, pixels.getpixel((0, 0))) == ("RGB", (3, 2), (100, 100, 100))


@pytest.mark.parametrize(
    "model", ["resnet18", "vit_b_16", "inception_v3", "fcn_resnet50", "ssdlite320_mobilenet_v3_large"]
)
def test_16_bits_and_8_bits_of_one_image_give_a_model_the_same(tmp_path: Path, model: str) -> None:
    """Multiply 8-bit values by 257: this is the same share of white in 16 bits."""
    grey = np.linspace(0, 255, 320).astype(np.uint8)[None, :].repeat(240, axis=0)
    Image.fromarray(grey).save(tmp_path / "8.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "16.png")
    preprocess = get_model_weights(model).DEFAULT.transforms()
    shallow, deep = (preprocess(read_pixels(tmp_path / f"{bits}.png")) for bits in (8, 16))
    assert shallow.shape == deep.shape
    assert (shallow - deep).abs().max() < 0.02  # rounded to 8 bits after resizing, or not
