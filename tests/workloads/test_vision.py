"""torchvision models, on the CPU: their input form, their weights, their output."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image
from torchvision.models import get_model_weights

from mps_experiments.errors import ConfigError
from mps_experiments.record.workload import ImageInput, WorkloadSpec
from mps_experiments.workloads.loading import _digest
from mps_experiments.workloads.networks import build_network
from mps_experiments.workloads.vision import build_inputs, read_pixels, supported_models

CPU = torch.device("cpu")
SAMPLE = ImageInput(name="sample", sha256="")
DETECTION, CLASSIFICATION, SEGMENTATION = (
    "ssdlite320_mobilenet_v3_large",
    "mobilenet_v3_small",
    "lraspp_mobilenet_v3_large",
)
MODELS = (DETECTION, CLASSIFICATION, SEGMENTATION)


def spec(model: str, **values: Any) -> WorkloadSpec:
    return WorkloadSpec(kind="torchvision", model=model, **({"inputs": (SAMPLE,)} | values))


def forward(of: WorkloadSpec) -> Any:
    with torch.inference_mode():
        model = build_network(of, CPU).model
        return [model(value) for value in build_inputs(of, CPU)]


def test_each_kind_of_model_gives_its_kind_of_output() -> None:
    (prediction,) = forward(spec(DETECTION))[0]
    assert prediction["boxes"].shape == (len(prediction["scores"]), 4)
    assert forward(spec(CLASSIFICATION))[0].shape == (1, 1000)
    assert forward(spec(SEGMENTATION))[0]["out"].shape[:2] == (1, 21)


@pytest.mark.parametrize("model", MODELS)
def test_the_input_has_the_form_that_its_kind_of_model_wants(model: str) -> None:
    (value,) = build_inputs(spec(model), CPU)
    if model == DETECTION:
        assert isinstance(value, list)
        assert value[0].shape == (3, 427, 640)
    else:
        assert isinstance(value, torch.Tensor)
        assert value.shape[:2] == (1, 3)


def test_a_detector_gets_a_photo_upright_and_16_bits_as_they_are_meant(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 8
    Image.new("RGB", (64, 48)).save(tmp_path / "turned.jpg", exif=exif)
    Image.fromarray(np.full((48, 64), 13107, np.uint16)).save(tmp_path / "deep.png")
    photos = [ImageInput(name=str(tmp_path / name), sha256="") for name in ("turned.jpg", "deep.png")]
    inputs: Any = build_inputs(spec(DETECTION, inputs=tuple(photos)), CPU)
    (turned,), (deep,) = inputs
    assert turned.shape == (3, 64, 48)
    assert torch.allclose(deep, torch.full((3, 48, 64), 0.2))


@pytest.mark.parametrize("model", MODELS)
def test_random_weights_follow_their_seed(model: str) -> None:
    digests = [_digest(build_network(spec(model, seed=seed), CPU).model) for seed in (0, 0, 1)]
    assert digests[0] == digests[1]
    assert digests[0] != digests[2]


def test_detection_does_the_same_work_whatever_the_photo_shows(tmp_path: Path) -> None:
    Image.new("RGB", (640, 427)).save(tmp_path / "black.png")
    Image.effect_noise((640, 427), 90).convert("RGB").save(tmp_path / "noise.png")
    photos = [ImageInput(name=str(tmp_path / name), sha256="") for name in ("black.png", "noise.png")]
    boxes = [len(output[0]["boxes"]) for output in forward(spec(DETECTION, inputs=(SAMPLE, *photos)))]
    assert boxes == [300, 300, 300]


def test_a_saved_state_dict_is_what_the_model_then_has(tmp_path: Path) -> None:
    saved = build_network(spec(CLASSIFICATION, seed=5), CPU).model
    torch.save(saved.state_dict(), tmp_path / "w.pth")
    loaded = build_network(spec(CLASSIFICATION, weights=str(tmp_path / "w.pth")), CPU).model
    assert _digest(loaded) == _digest(saved)
    assert not loaded.training


def test_supported_models_are_those_that_one_photo_can_feed() -> None:
    models = supported_models()
    assert {*MODELS, "maskrcnn_resnet50_fpn", "resnet50"} <= set(models)
    assert not {"quantized_resnet50", "r3d_18", "raft_large"} & set(models)
    assert all(one < other for one, other in itertools.pairwise(models))


@pytest.mark.parametrize(
    ("images", "batch", "expected"),
    [(1, 1, [[0]]), (1, 3, [[0, 0, 0]]), (3, 2, [[0, 1], [2, 0], [1, 2]]), (2, 4, [[0, 1, 0, 1]])],
)
def test_images_fill_the_batches_in_turn(
    tmp_path: Path, images: int, batch: int, expected: list[list[int]]
) -> None:
    for number in range(images):
        Image.new("RGB", (64, 64), (number * 51,) * 3).save(tmp_path / f"{number}.png")
    photos = tuple(ImageInput(name=str(tmp_path / f"{number}.png"), sha256="") for number in range(images))
    inputs: Any = build_inputs(spec(DETECTION, inputs=photos, batch=batch), CPU)
    assert [[round(float(image.mean() * 5)) for image in each] for each in inputs] == expected
    stacked: Any = build_inputs(spec(CLASSIFICATION, inputs=photos, batch=batch), CPU)
    assert [each.shape for each in stacked] == [(batch, 3, 224, 224)] * len(expected)


@pytest.mark.parametrize("model", [DETECTION, CLASSIFICATION])
def test_a_forward_gives_an_output_for_each_image_of_the_batch(model: str) -> None:
    (output,) = forward(spec(model, batch=2))
    assert len(output) == 2


def test_photos_of_different_shapes_are_not_stacked(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "square.png")
    photos = (SAMPLE, ImageInput(name=str(tmp_path / "square.png"), sha256=""))
    assert len(build_inputs(spec(SEGMENTATION, inputs=photos), CPU)) == 2
    with pytest.raises(ConfigError, match=r"workload\.batch=2: .*give images of one shape"):
        build_inputs(spec(SEGMENTATION, inputs=photos, batch=2), CPU)


@pytest.mark.parametrize("name", ["grey.png", "grey.tif", "grey.pgm", "grey.jp2"])
def test_16_bit_grey_becomes_three_planes_from_0_to_1(tmp_path: Path, name: str) -> None:
    ramp = np.linspace(0, 65535, 320).astype(np.uint16)[None, :].repeat(240, axis=0)
    Image.fromarray(ramp).save(tmp_path / name)
    pixels = read_pixels(tmp_path / name)
    assert isinstance(pixels, torch.Tensor)
    assert (pixels.shape, pixels.dtype) == ((3, 240, 320), torch.float32)
    assert torch.equal(pixels[1], torch.from_numpy(ramp.astype(np.float32) / np.float32(65535)))


@pytest.mark.parametrize("model", ["resnet18", "vit_b_16", "inception_v3", "fcn_resnet50", DETECTION])
def test_16_bits_and_8_bits_of_one_image_give_a_model_the_same(tmp_path: Path, model: str) -> None:
    """Multiply 8-bit values by 257: this is the same share of white in 16 bits."""
    grey = np.linspace(0, 255, 320).astype(np.uint8)[None, :].repeat(240, axis=0)
    Image.fromarray(grey).save(tmp_path / "8.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "16.png")
    preprocess = get_model_weights(model).DEFAULT.transforms()
    shallow, deep = (preprocess(read_pixels(tmp_path / f"{bits}.png")) for bits in (8, 16))
    assert shallow.shape == deep.shape
    assert (shallow - deep).abs().max() < 0.02  # rounded to 8 bits after resizing, or not
