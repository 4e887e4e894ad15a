"""Read the user's files: their digest, their first bytes, and what a file is that begins so."""

import hashlib
import re
from pathlib import Path

HEAD_BYTES = 4096
AGAIN = "copy or download it again"
SAVE = "save the weights alone with torch.save(model.state_dict(), path)"
_UNPACK = "unpack it and give the file in it"
_CONVERT = "convert it to PNG or JPEG"
_FRAME = "give a frame of it as PNG or JPEG"
_ARRAY = "save the array as an image with PIL.Image.fromarray"

# What a file is, what to do about it, and a pattern of its first bytes.
_Kinds = tuple[tuple[str, str, bytes], ...]
_NEITHER: _Kinds = (
    ("an empty file", AGAIN, rb"\Z"),
    ("nothing but zero bytes, as an interrupted copy leaves them", AGAIN, rb"\0+\Z"),
    ("a Git LFS pointer, not the file itself", "run git lfs pull", rb"version https://git-lfs"),
    ("a git-annex pointer, not the file itself", "run git annex get", rb"/annex/objects/"),
    (
        "an HTML or XML page, as a failed download leaves it",
        "download the file itself",
        rb"(\xef\xbb\xbf)?\s*(?i:<!doctype|<!--|<html|<head|<body|<script|<\?xml|<error)",
    ),
    ("a compressed file", _UNPACK, rb"\x1f\x8b|BZh|\xfd7zXZ\0|\x28\xb5\x2f\xfd|7z\xbc\xaf|Rar!"),
    ("a tar archive", _UNPACK, rb".{257}ustar"),
    ("a PDF document", "convert a page of it to PNG", rb"%PDF"),
)
# Pillow itself decodes none of these: it hands EPS to Ghostscript and WMF to Windows.
_NO_IMAGE: _Kinds = (
    ("PostScript, a program, which is never run", _CONVERT, rb"%!PS|\xc5\xd0\xd3\xc6"),
    ("a Windows metafile", _CONVERT, rb"\xd7\xcd\xc6\x9a|\x01\0\0\0.{36} EMF"),
    (
        "an SVG drawing, which has no pixels",
        "convert it to PNG",
        rb"(\xef\xbb\xbf)?\s*(?i:(?!<!doctype html|<html)(<svg|<[?!].*<svg))",
    ),
    ("a JPEG XL image, which Pillow cannot read", _CONVERT, rb"\xff\x0a|.{4}JXL "),
    (
        "a raw camera file",
        "develop it to PNG or JPEG",
        rb"II\*\0.{4}CR|.{4}ftypcrx |.{6}HEAPCCDR|FUJIFILMCCD|IIU\0|IIR[OS]|MMOR|\0MRM|FOVb",
    ),
    (
        "an image whose pixels have no defined range (OpenEXR, Radiance, DICOM, FITS)",
        _CONVERT,
        rb"\x76\x2f\x31\x01|#\?RADIANCE|.{128}DICM|SIMPLE  =",
    ),
    # The brands of an ISO base media file tell HEIC from AVIF, which Pillow reads, and both from a video.
    (
        "a HEIC (HEIF) image, which Pillow cannot read without pillow-heif",
        _CONVERT,
        rb".{4}ftyp(?!.{0,28}avi[fs]).{0,28}(hei|hev|mif|msf)",
    ),
    (
        "a video",
        _FRAME,
        rb".{4}ftyp(?!.{0,28}avi[fs])|RIFF.{4}AVI |\x1a\x45\xdf\xa3|\0\0\x01[\xba\xb3]|FLV\x01|OggS",
    ),
    ("a NumPy array (.npy)", _ARRAY, rb"\x93NUMPY"),
    ("an HDF5 file", _ARRAY, rb"\x89HDF"),
    ("a pickle of Python", _ARRAY, rb"\x80[\x02-\x05]"),
    ("a ZIP archive (.npz, .pt and .docx files are such, too)", _UNPACK, rb"PK\x03\x04"),
)
_NO_WEIGHTS: _Kinds = (
    ("a NumPy array (.npy)", SAVE, rb"\x93NUMPY"),
    ("an HDF5 file, as Keras writes it", SAVE, rb"\x89HDF"),
    ("an image", "give it as workload.input", rb"\x89PNG|\xff\xd8\xff"),
    ("a JSON text, perhaps the index of shards, which are not joined", SAVE, rb"\s*\{"),
)


def first_bytes(path: Path, count: int) -> bytes:
    """Return the first bytes of a file; raises OSError if it cannot be read."""
    with path.open("rb") as file:
        return file.read(count)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 digest of a file in hexadecimal; raises OSError if it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def no_image(head: bytes) -> str | None:
    """Name the kind of a file that begins so, with what to do; None for what Pillow may read.

    >>> no_image(b"%PDF-1.7")
    'a PDF document; convert a page of it to PNG'
    """
    return _named(head, _NO_IMAGE + _NEITHER)


def no_weights(head: bytes) -> str | None:
    """Name the kind of a file that begins so, with what to do; None for what may be a checkpoint."""
    return _named(head, _NO_WEIGHTS + _NEITHER)


def _named(head: bytes, kinds: _Kinds) -> str | None:
    found = (f"{what}; {remedy}" for what, remedy, begins in kinds if re.match(begins, head, re.DOTALL))
    return next(found, None)
