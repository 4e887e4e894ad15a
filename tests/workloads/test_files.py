"""What a file is that is no image, named by its first bytes; digests of files."""

import io
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mps_experiments.workloads.files import HEAD_BYTES, file_sha256, first_bytes, no_image
from mps_experiments.workloads.images import formats


def test_the_head_and_the_digest_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"abc")
    assert (first_bytes(file, 2), first_bytes(file, 9)) == (b"ab", b"abc")
    assert file_sha256(file) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


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


# The kind, what to do about it, and the beginnings of such files.
KINDS: dict[tuple[str, str], list[bytes]] = {
    ("an empty file", "copy or download it again"): [b""],
    ("nothing but zero bytes", "copy or download it again"): [bytes(100)],
    ("a Git LFS pointer", "run git lfs pull"): [
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"
    ],
    ("a git-annex pointer", "run git annex get"): [b"/annex/objects/SHA256E-s9--0.jpg\n"],
    ("an HTML or XML page", "download the file itself"): [
        b"<!DOCTYPE html><html>404</html>",
        b"\n  <HTML>\n",
        b"\xef\xbb\xbf<!-- a comment --><html>",
        b"<!doctype html><html><body><svg></svg></body>",
        b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>",
    ],
    ("an SVG drawing", "convert it to PNG"): [
        b'<svg xmlns="http://www.w3.org/2000/svg"/>',
        b'<?xml version="1.0"?>\n<!DOCTYPE svg PUBLIC "a">\n<svg width="9"/>',
    ],
    ("a HEIC (HEIF) image", "convert it to PNG or JPEG"): [
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
        b"\0\0\0\x18ftypmsf1\0\0\0\0hevcmsf1",
    ],
    ("a video", "give a frame of it as PNG or JPEG"): [
        b"\0\0\0\x18ftypisom\0\0\0\0isommp42",
        b"\0\0\0\x14ftypqt  \0\0\0\0qt  ",
        b"RIFF\0\0\0\0AVI LIST",
    ],
    ("a raw camera file", "develop it to PNG or JPEG"): [
        b"\0\0\0\x18ftypcrx \0\0\0\1crx isom",
        b"II*\0\x10\0\0\0CR\2\0",
    ],
    ("PostScript, a program", "convert it to PNG or JPEG"): [
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
        b"\xc5\xd0\xd3\xc6\0",
    ],
    ("a PDF document", "convert a page of it to PNG"): [b"%PDF-1.7\n"],
    ("a Windows metafile", "convert it to PNG or JPEG"): [b"\1\0\0\0".ljust(40, b"\0") + b" EMF"],
    ("an image whose pixels have no defined range", "convert it to PNG or JPEG"): [bytes(128) + b"DICM"],
    ("a ZIP archive", "unpack it and give the file in it"): [made(archive)],
    ("a tar archive", "unpack it and give the file in it"): [made(tarball)],
    ("a compressed file", "unpack it and give the file in it"): [b"\x1f\x8b\x08"],
    ("a NumPy array (.npy)", "save the array as an image with PIL.Image.fromarray"): [
        made(lambda file: np.save(file, np.zeros(3)))
    ],
    ("a pickle of Python", "save the array as an image with PIL.Image.fromarray"): [pickle.dumps([1])],
}


@pytest.mark.parametrize(("named", "heads"), KINDS.items(), ids=[kind for kind, _ in KINDS])
def test_a_file_of_another_kind_is_named_with_what_to_do(named: tuple[str, str], heads: list[bytes]) -> None:
    for head in heads:
        said = no_image(head[:HEAD_BYTES])
        assert said is not None
        assert said.startswith(named[0])
        assert said.endswith(f"; {named[1]}")


def test_no_image_that_pillow_writes_is_taken_for_something_else() -> None:
    wrong = []
    for name in sorted({"AVIF", *formats()} & {*Image.SAVE}):
        for mode in ("RGB", "RGBA", "L", "1", "F"):
            buffer = io.BytesIO()
            try:
                Image.new(mode, (32, 32)).save(buffer, name)
            except (OSError, ValueError, KeyError, DeprecationWarning):  # not this mode, or to be removed
                continue
            wrong += [(name, mode)] if no_image(buffer.getvalue()[:HEAD_BYTES]) else []
    assert wrong == []
    assert no_image(b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf") is None  # AVIF under the brand of its family
