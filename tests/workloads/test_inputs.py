"""The sample photo, and an image as the workers read it; what is none is refused."""

import hashlib
import os
import shutil
import sys
import tracemalloc
from pathlib import Path

import pytest
from PIL import Image

from mps_experiments.errors import ConfigError
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


def test_a_large_file_is_hashed_without_being_held_in_memory(tmp_path: Path) -> None:
    """A photo with 100 MB behind it that no decoder looks at."""
    path = tmp_path / "photo.jpg"
    shutil.copy(sample_photo(), path)
    os.truncate(path, 100_000_000)
    tracemalloc.start()
    resolve_inputs(str(path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 50_000_000


def refused(value: object) -> str:
    with pytest.raises(ConfigError) as caught:
        resolve_inputs(value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def broken(tmp_path: Path, kind: str) -> str:
    """A path that is not one image, by kind."""
    path = tmp_path / f"{kind} file.jpg"
    match kind:
        case "truncated":
            path.write_bytes(sample_photo().read_bytes()[:20_000])
        case "text":
            path.write_text("not an image")
        case "empty":
            path.touch()
        case "folder":
            path.mkdir()
        case "bomb":
            Image.new("1", (20_000, 20_000)).save(path, "png")
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "huge":
            path.touch()
            os.truncate(path, 2**30 + 1)
        case "program":
            path.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n")
        case "long":
            path = tmp_path / ("x" * 300)
    return str(path)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("missing", "no such file"),
        ("folder", "a folder, not an image"),
        ("text", "not an image that Pillow can read"),
        ("empty", "not an image that Pillow can read"),
        ("truncated", "damaged or unreadable (image file is truncated"),
        ("bomb", "too many pixels to decode safely; give a smaller image"),
        ("pipe", "a pipe or a device, not an image"),
        ("device", "a pipe or a device, not an image"),
        ("huge", "larger than 1073741824 bytes"),
        ("program", "not an image that Pillow can read"),
        ("long", "cannot be read ([Errno 36] File name too long"),
    ],
)
def test_an_image_that_is_none_is_refused(tmp_path: Path, kind: str, reason: str) -> None:
    name = broken(tmp_path, kind)
    assert refused(name).startswith(f"workload.input={name}: {reason}")
    assert refused(["sample", name]).startswith(f"workload.input={name}: {reason}")


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "null"), (3, "3"), ([], "[]"), ([1], "[1]"), ({"a": 1}, "{'a': 1}"), ([""], "['']")],
)
def test_an_input_that_is_no_path_is_refused(value: object, shown: str) -> None:
    assert refused(value) == (
        f"workload.input={shown}: give sample, the path of an image, or a list of paths [a.jpg,b.jpg]"
    )


def test_images_are_used_in_the_order_given(tmp_path: Path) -> None:
    shutil.copy(sample_photo(), tmp_path / "a b,c=d.jpg")
    inputs = resolve_inputs([str(tmp_path / "a b,c=d.jpg"), "sample"])
    assert [image.name for image in inputs] == [str(tmp_path / "a b,c=d.jpg"), "sample"]
    assert inputs[0].sha256 == inputs[1].sha256
