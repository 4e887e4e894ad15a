"""Images and weights that are none, that never end, that explode, or that would run code."""

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from mps_experiments.workloads.inputs import sample_photo
from tests.hostile.conftest import Bad, Refused
from tests.hostile.test_command_lines import Attack

SMALL = ["workload.model=mobilenet_v3_small", "device=cpu", "tracking=none"]
Make = Callable[[Path], object]

# EPS is a program: Pillow hands it to Ghostscript, here one that leaves a mark.
EPS = "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n"
GHOSTSCRIPT = "#!/bin/sh\ntouch {here}/marker\n"


def sparse(path: Path, size: int, start: bytes = b"") -> None:
    """A file that is huge, but not on the disk."""
    path.write_bytes(start)
    os.truncate(path, size)


def text_bomb(path: Path) -> None:
    """A PNG of one pixel, whose comment unpacks to 128 MiB."""
    Image.new("L", (1, 1)).save(path, "png")
    whole, packer = path.read_bytes(), zlib.compressobj()
    packed = b"".join(packer.compress(bytes(2**20)) for _ in range(2**7)) + packer.flush()
    data = b"zTXt" + b"Comment\0\0" + packed
    chunk = struct.pack("!I", len(data) - 4) + data + struct.pack("!I", zlib.crc32(data))
    path.write_bytes(whole[:33] + chunk + whole[33:])  # after the signature and IHDR


# workloads/test_inputs.py has more; these are dangerous to look into.
IMAGES: dict[str, tuple[Make, str]] = {
    "a pipe": (os.mkfifo, "a pipe or a device, not an image"),
    "a loop": (lambda p: p.symlink_to(p), "no such file"),
    "huge, with a photo in front": (
        lambda p: sparse(p, 2**40, sample_photo().read_bytes()),
        "larger than 1073741824 bytes",
    ),
    "a bomb": (
        lambda p: Image.new("1", (20_000, 20_000)).save(p, "png"),
        "more than 89,478,485 pixels, too many to decode safely; give a smaller",
    ),
    "a bomb beside the pixels": (text_bomb, "damaged or cut off (Decompressed data too large"),
    "a program": (lambda p: p.write_text(EPS), "PostScript, a program, which is never run; convert it"),
}


BY_COMMAND = {"a pipe", "a bomb", "a program"}


@pytest.mark.parametrize("kind", sorted(IMAGES.keys() - BY_COMMAND))
def test_an_image_that_is_none_is_refused(kind: str, tmp_path: Path, refused: Refused) -> None:
    refused(_image(kind, tmp_path))


@pytest.mark.parametrize("kind", sorted(BY_COMMAND))
def test_the_command_refuses_one_that_is_dangerous(
    kind: str, tmp_path: Path, refused_by_command: Refused
) -> None:
    refused_by_command(_image(kind, tmp_path))


def test_the_image_that_is_a_program_would_have_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = _image("a program", tmp_path)
    monkeypatch.setenv("PATH", bad.environment["PATH"])
    with Image.open(tmp_path / "x.jpg") as image, pytest.raises(OSError):  # noqa: PT011 - Pillow's own
        image.load()
    assert (tmp_path / "marker").exists()


def _image(kind: str, folder: Path) -> Bad:
    make, why = IMAGES[kind]
    path = folder / "x.jpg"
    make(path)
    (folder / "gs").write_text(GHOSTSCRIPT.format(here=folder))
    (folder / "gs").chmod(0o755)
    return Bad(
        name=kind,
        arguments=[f"workload.input={path}", *SMALL],
        says=(f"workload.input={path}: {why}",),
        environment={"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"},
    )


WEIGHTS: dict[str, tuple[Make, str]] = {
    "missing": (lambda _: None, "cannot be read (No such file or directory)"),
    "a folder": (Path.mkdir, "cannot be read (Is a directory)"),
    "a pipe": (os.mkfifo, "cannot be read (a pipe or a device, not a file)"),
    "a device": (lambda p: p.symlink_to("/dev/zero"), "cannot be read (a pipe or a device, not a file)"),
    "a loop": (lambda p: p.symlink_to(p), "cannot be read (Too many levels of symbolic links)"),
    "huge": (lambda p: sparse(p, 2**40), "nothing but zero bytes, as an interrupted copy leaves them"),
    "torch's pickle with code": (
        lambda p: torch.save(Attack(p.with_name("marker")), p),
        "holds io.open, which torch.load(weights_only=True) refuses",
    ),
}


@pytest.mark.parametrize("kind", WEIGHTS)
def test_weights_that_are_none_are_refused(kind: str, tmp_path: Path, refused: Refused) -> None:
    refused(_weights(kind, tmp_path))
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("kind", ["a pipe", "torch's pickle with code"])
def test_the_command_refuses_them_too(kind: str, tmp_path: Path, refused_by_command: Refused) -> None:
    refused_by_command(_weights(kind, tmp_path))
    assert not (tmp_path / "marker").exists()


def test_the_weights_with_code_would_have_run_it(tmp_path: Path) -> None:
    _weights("torch's pickle with code", tmp_path)
    torch.load(tmp_path / "x.pth", weights_only=False).close()
    assert (tmp_path / "marker").exists()


def _weights(kind: str, folder: Path) -> Bad:
    make, why = WEIGHTS[kind]
    path = folder / "x.pth"
    make(path)
    return Bad(
        name=kind,
        arguments=[f"workload.weights={path}", *SMALL],
        says=(f"workload.weights={path}: {why}", "random"),
    )
