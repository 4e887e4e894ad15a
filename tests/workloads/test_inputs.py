"""The sample photo, and an image as the workers read it; what is none is refused."""

import hashlib
import os
import shlex
import shutil
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from PIL import ExifTags, Image

from mps_experiments.errors import ConfigError
from mps_experiments.record.workload import ImageInput
from mps_experiments.workloads.images import read_image
from mps_experiments.workloads.inputs import path_of, remarks, resolve_inputs, sample_photo


def test_the_sample_is_a_real_photo_found_without_importing_scikit_learn() -> None:
    before = "sklearn" in sys.modules
    assert read_image(sample_photo()).pixels.size == (640, 427)
    assert ("sklearn" in sys.modules) == before


def test_an_image_is_known_by_its_path_and_the_digest_of_its_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (3, 2)).save(tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)
    (image,) = resolve_inputs("a.png")
    assert (image.name, path_of(image)) == (str(tmp_path / "a.png"), tmp_path / "a.png")
    assert image.sha256 == hashlib.sha256((tmp_path / "a.png").read_bytes()).hexdigest()
    (sample,) = resolve_inputs("sample")
    assert (sample.name, path_of(sample)) == ("sample", sample_photo())


def test_the_record_tells_the_size_that_the_model_gets_and_what_was_done(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.new("RGB", (3, 2)).save(tmp_path / "a.jpg", exif=exif)
    (image,) = resolve_inputs(str(tmp_path / "a.jpg"))
    assert (image.width, image.height, image.read_as) == (2, 3, "EXIF orientation 6 applied")
    assert image.identity == f"{tmp_path / 'a.jpg'} {image.sha256[:16]} EXIF orientation 6 applied"


def test_an_image_of_an_earlier_record_is_the_same_if_nothing_was_done_to_it() -> None:
    (now,) = resolve_inputs("sample")
    assert (now.width, now.height, now.read_as) == (640, 427, "")
    assert ImageInput(name="sample", sha256=now.sha256).identity == now.identity


def test_what_was_done_is_told_once_for_all_images_to_which_it_was() -> None:
    def image(name: str, read_as: str) -> ImageInput:
        return ImageInput(name=name, sha256="", read_as=read_as)

    turned, grey = "EXIF orientation 6 applied", "16-bit grey with values up to 9, 65535 is white"
    images = [image("a.jpg", turned), image("b.jpg", turned), image("a.jpg", turned), image("sample", "")]
    assert list(remarks([*images, image("c.png", grey)])) == [
        f"workload.input=a.jpg and 1 more: {turned}",
        f"workload.input=c.png: {grey}",
    ]


def test_a_large_file_is_hashed_without_being_held_in_memory(tmp_path: Path) -> None:
    """Use a photo followed by 100 MB that no decoder reads."""
    path = tmp_path / "photo.jpg"
    shutil.copy(sample_photo(), path)
    os.truncate(path, 100_000_000)
    tracemalloc.start()
    resolve_inputs(str(path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 50_000_000


EXPECTED = "give sample, the path of an image, or a list of paths [a.jpg,b.jpg]"
TOO_MANY = "more than 89,478,485 pixels, too many to decode safely; give a smaller image"


def refused(value: object) -> str:
    with pytest.raises(ConfigError) as caught:
        resolve_inputs(value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def absent(_: Path) -> None:
    """Make nothing."""


def huge(path: Path) -> None:
    path.touch()
    os.truncate(path, 2**30 + 1)


# What makes a path that is not one image, and how its refusal begins.
BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (absent, f"no such file; {EXPECTED}"),
    "folder": (Path.mkdir, f"a folder, not an image; no image is there; {EXPECTED}"),
    "text": (
        lambda path: path.write_text("not an image"),
        "not an image that Pillow can read, or a damaged one",
    ),
    "cut header": (
        lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n"),
        "not an image that Pillow can read, or",
    ),
    "source": (
        lambda path: path.write_text("#define WIDTH many\n"),
        "damaged or cut off (invalid literal for int",
    ),
    "truncated": (
        lambda path: path.write_bytes(sample_photo().read_bytes()[:20_000]),
        "damaged or cut off (image file is truncated",
    ),
    "html": (lambda path: path.write_text("<html>404</html>"), "an HTML or XML page, as a failed download"),
    "empty": (Path.touch, "an empty file; copy or download it again"),
    "program": (
        lambda path: path.write_text("%!PS-Adobe-3.0 EPSF-3.0\n"),
        "PostScript, a program, which is never",
    ),
    "float": (
        lambda path: Image.new("F", (3, 2)).save(path, "tiff"),
        "floating-point, 32-bit and signed pixels have no defined range",
    ),
    "bomb": (
        lambda path: Image.new("1", (20_000, 20_000)).save(path, "png"),
        TOO_MANY,
    ),
    "half a bomb": (
        lambda path: Image.new("1", (10_000, 9_000)).save(path, "png"),
        TOO_MANY,
    ),
    "pipe": (os.mkfifo, f"a pipe or a device, not an image; {EXPECTED}"),
    "device": (lambda path: path.symlink_to("/dev/zero"), f"a pipe or a device, not an image; {EXPECTED}"),
    "huge": (huge, f"larger than 1073741824 bytes; {EXPECTED}"),
    "x" * 300: (absent, "cannot be read ([Errno 36] File name too long"),
}


@pytest.mark.parametrize("kind", BROKEN, ids=lambda kind: kind[:12])
def test_an_image_that_is_none_is_refused(tmp_path: Path, kind: str) -> None:
    make, reason = BROKEN[kind]
    name = f"{tmp_path}/{kind} file.jpg"
    make(Path(name))
    assert refused(name).startswith(f"workload.input={name}: {reason}")
    assert refused(["sample", name]).startswith(f"workload.input={name}: {reason}")


@pytest.mark.parametrize("value", [None, 3, [], [1], {"a": 1}, [""]])
def test_an_input_that_is_no_path_is_refused(value: object) -> None:
    assert refused(value).endswith(f": {EXPECTED}")


def test_images_are_used_in_the_order_given(tmp_path: Path) -> None:
    shutil.copy(sample_photo(), tmp_path / "a b,c=d.jpg")
    inputs = resolve_inputs([str(tmp_path / "a b,c=d.jpg"), "sample"])
    assert [image.name for image in inputs] == [str(tmp_path / "a b,c=d.jpg"), "sample"]
    assert inputs[0].sha256 == inputs[1].sha256


def arguments_in(line: str) -> list[str]:
    """Return the list that a person would copy from a refusal, as Hydra understands it."""
    (argument,) = shlex.split(line.partition("as a list: ")[2])
    value = OverridesParser.create().parse_override(argument).value()
    assert isinstance(value, list)
    return [str(each) for each in value]


def test_a_pattern_is_answered_with_the_list_that_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    names = ["photos/a.png", "photos/b c.png", "photos/d'(1).png", "photos/é,=.png"]
    for name in names:
        Image.new("RGB", (3, 2)).save(name)
    line = refused("photos/*.png")
    assert line.startswith("workload.input=photos/*.png: no such file, and a pattern is not expanded; ")
    assert arguments_in(line) == names
    assert [image.name for image in resolve_inputs(arguments_in(line))] == [str(tmp_path / n) for n in names]
    assert arguments_in(refused(["sample", "photos/[ab]*.png"])) == names[:2]
    assert arguments_in(refused("photos")) == names


def test_an_address_is_not_downloaded() -> None:
    assert "an address, which is not downloaded" in refused("https://example.org/a*.jpg?size=9")


def test_of_many_files_only_the_first_are_listed(tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / f"{number:02}.png").touch()
    assert refused(f"{tmp_path}/*").endswith(f",{tmp_path}/03.png]' and so on, 12 files")
    assert refused(f"{tmp_path}/*.jpg").endswith(f"is not expanded; no image is there; {EXPECTED}")


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(tmp_path: Path) -> None:
    Image.new("RGB", (3, 2)).save(tmp_path / "a[1]*.png")
    assert resolve_inputs(str(tmp_path / "a[1]*.png"))[0].width == 3
