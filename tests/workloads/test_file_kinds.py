"""What a file is that is no image, named by its first bytes."""

import io
import pickle
import tarfile
import zipfile
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image

from mps_experiments.workloads.file_kinds import HEAD_BYTES, foreign_kind, shapeless_kind
from mps_experiments.workloads.images import formats


def made(write: Callable[[io.BytesIO], object]) -> bytes:
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


def archive(buffer: io.BytesIO) -> None:
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("a.jpg", b"")


def tarball(buffer: io.BytesIO) -> None:
    with tarfile.open(fileobj=buffer, mode="w") as file:
        file.addfile(tarfile.TarInfo("a.jpg"))


HTML = "an HTML page, as a failed download leaves it; download the image itself"
XML = "an XML or HTML text, not an image; download the image itself"
SVG = "an SVG drawing, which has no pixels; convert it to PNG"
HEIC = "a HEIC (HEIF) image, which Pillow cannot read without pillow-heif; convert it to PNG or JPEG"
MP4 = "a video (MP4 or QuickTime); give a frame of it as PNG or JPEG"
POSTSCRIPT = "PostScript, a program, which is never run; convert it to PNG or JPEG"
ZIP = "a ZIP archive (.npz, .pt and .docx files are such, too); unpack it and give the images in it"


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"", "an empty file; copy or download it again"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
            "a Git LFS pointer, not the file itself; run git lfs pull",
        ),
        (
            b"/annex/objects/SHA256E-s9--0.jpg\n",
            "a git-annex pointer, not the file itself; run git annex get",
        ),
        (b"<!DOCTYPE html><html>404</html>", HTML),
        (b"\n  <HTML>\n", HTML),
        (b"\xef\xbb\xbf<!-- a comment --><html>", HTML),
        ("<html>ü</html>".encode("utf-16"), HTML),
        (b"<!doctype html><html><body><svg></svg></body>", HTML),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', SVG),
        (b'<?xml version="1.0"?>\n<!DOCTYPE svg PUBLIC "a">\n<svg width="9"/>', SVG),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", XML),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", HEIC),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", HEIC),
        (b"\0\0\0\x18ftypmsf1\0\0\0\0hevcmsf1", HEIC),
        (b"\0\0\0\x18ftypisom\0\0\0\0isommp42", MP4),
        (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", MP4),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "a raw camera file (CR3); develop it to PNG or JPEG"),
        (b"II*\0\x10\0\0\0CR\2\0", "a raw camera file (CR2); develop it to PNG or JPEG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", POSTSCRIPT),
        (b"\xc5\xd0\xd3\xc6\0\0", POSTSCRIPT),
        (b"%PDF-1.7\n", "a PDF document; convert a page of it to PNG"),
        (b"\x01\0\0\0".ljust(40, b"\0") + b" EMF", "a Windows metafile (EMF); convert it to PNG or JPEG"),
        (b"RIFF\0\0\0\0AVI LIST", "a video (AVI); give a frame of it as PNG or JPEG"),
        (bytes(128) + b"DICM", "a DICOM file; convert it to PNG or JPEG"),
        (made(archive), ZIP),
        (made(lambda file: torch.save({"a": torch.zeros(1)}, file)), ZIP),
        (made(tarball), "a tar archive; unpack it and give the images in it"),
        (
            made(lambda file: np.save(file, np.zeros(3))),
            "a NumPy array (.npy); save the array as an image with PIL.Image.fromarray",
        ),
        (pickle.dumps([1]), "a pickle of Python; save the array as an image with PIL.Image.fromarray"),
    ],
)
def test_a_file_of_another_kind_is_named_with_what_to_do(head: bytes, kind: str) -> None:
    assert foreign_kind(head[:HEAD_BYTES]) == kind


@pytest.mark.parametrize("name", sorted({"AVIF", *formats()} & {*Image.SAVE, *Image.OPEN}))
def test_no_image_that_pillow_writes_is_taken_for_something_else(name: str) -> None:
    Image.init()
    for mode in ("RGB", "RGBA", "L", "1", "F"):
        buffer = io.BytesIO()
        try:
            Image.new(mode, (32, 32)).save(buffer, name)
        except (
            OSError,
            ValueError,
            KeyError,
            DeprecationWarning,
        ):  # not this mode, or read only, or to be removed
            continue
        assert foreign_kind(buffer.getvalue()[:HEAD_BYTES]) is None


def test_avif_under_the_brand_of_its_family_is_left_to_pillow() -> None:
    assert foreign_kind(b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf") is None


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (bytes(100), "nothing but zero bytes, as an interrupted copy leaves them; copy or download it again"),
        (b'{"error": "not found"}', "a text, not an image"),
        ("grün".encode(), "a text, not an image"),
        (("ü" * HEAD_BYTES).encode()[: HEAD_BYTES - 1], "a text, not an image"),
        (b"\x01\x02\x03", None),
        (b"caf\xe9 au lait", None),
    ],
)
def test_what_has_no_signature_is_named_by_what_it_consists_of(head: bytes, kind: str | None) -> None:
    assert shapeless_kind(head) == kind
