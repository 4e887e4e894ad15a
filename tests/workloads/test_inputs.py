"""The sample photo, and an image as the workers read it; what is refused stands in tests/test_plan.py."""

import hashlib
import sys
from pathlib import Path

import pytest
from PIL import Image

from mps_experiments.workloads.inputs import path_of, read_image, resolve_inputs, sample_photo


def test_the_sample_is_a_real_photo_found_without_importing_scikit_learn() -> None:
    before = "sklearn" in sys.modules
    assert read_image(sample_photo()).size == (640, 427)
    assert ("sklearn" in sys.modules) == before


def test_an_image_is_known_by_its_path_and_the_digest_of_its_bytes(tmp_path: Path) -> None:
    Image.new("RGB", (3, 2)).save(tmp_path / "a.png")
    (image,) = resolve_inputs(str(tmp_path / "a.png"))
    assert path_of(image) == tmp_path / "a.png"
    assert image.sha256 == hashlib.sha256((tmp_path / "a.png").read_bytes()).hexdigest()


def test_a_relative_path_is_meant_from_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (3, 2)).save(tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)
    assert resolve_inputs("a.png")[0].name == str(tmp_path / "a.png")


def test_the_sample_is_named_and_not_placed() -> None:
    (image,) = resolve_inputs("sample")
    assert image.name == "sample"
    assert path_of(image) == sample_photo()


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1", "CMYK", "I;16"])
def test_every_kind_of_image_is_read_as_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "image.tiff"
    Image.new(mode, (3, 2)).save(path)
    assert resolve_inputs(str(path))
    assert read_image(path).mode == "RGB"
