"""Name the kind of a file, by its first bytes, that was given as an image and is none."""

import codecs

from mps_experiments.workloads.files import COMPRESSED, HDF5, NUMPY, PDF, POINTERS, TAR, TAR_AT, ZIP

HEAD_BYTES = 4096
_CONVERT = "convert it to PNG or JPEG"
_RAW = "develop it to PNG or JPEG"
_FRAME = "give a frame of it as PNG or JPEG"
_FETCH = "copy or download it again"
_UNPACK = "unpack it and give the images in it"
_ARRAY = "save the array as an image with PIL.Image.fromarray"

# Name of the kind, what to do about it, then the bytes by offset. Pillow itself decodes none of these: it
# hands EPS to Ghostscript and WMF to Windows, and reads only the header of HDF5, GRIB, BUFR and MPEG.
_SIGNATURES: tuple[tuple[str, str, dict[int, bytes]], ...] = (
    *((what, remedy, {0: expected}) for expected, (what, remedy) in POINTERS.items()),
    ("PostScript, a program, which is never run", _CONVERT, {0: b"%!PS"}),
    ("PostScript, a program, which is never run", _CONVERT, {0: b"\xc5\xd0\xd3\xc6"}),
    ("a PDF document", "convert a page of it to PNG", {0: PDF}),
    ("a Windows metafile (WMF)", _CONVERT, {0: b"\xd7\xcd\xc6\x9a"}),
    ("a Windows metafile (EMF)", _CONVERT, {0: b"\x01\0\0\0", 40: b" EMF"}),
    ("a DjVu document", _CONVERT, {0: b"AT&TFORM"}),
    ("a JPEG XL image, which Pillow cannot read", _CONVERT, {0: b"\xff\x0a"}),
    ("a JPEG XL image, which Pillow cannot read", _CONVERT, {4: b"JXL "}),
    ("a JPEG XR image, which Pillow cannot read", _CONVERT, {0: b"II\xbc"}),
    ("an OpenEXR image, whose pixels have no defined range", _CONVERT, {0: b"\x76\x2f\x31\x01"}),
    ("a Radiance HDR image, whose pixels have no defined range", _CONVERT, {0: b"#?RADIANCE"}),
    ("a GIMP file (XCF)", _CONVERT, {0: b"gimp xcf"}),
    ("a DICOM file", _CONVERT, {128: b"DICM"}),
    ("a raw camera file (CR2)", _RAW, {0: b"II*\0", 8: b"CR"}),
    ("a raw camera file (CR3)", _RAW, {4: b"ftypcrx "}),
    ("a raw camera file (CRW)", _RAW, {6: b"HEAPCCDR"}),
    ("a raw camera file (RAF)", _RAW, {0: b"FUJIFILMCCD-RAW"}),
    ("a raw camera file (RW2)", _RAW, {0: b"IIU\0"}),
    ("a raw camera file (ORF)", _RAW, {0: b"IIRO"}),
    ("a raw camera file (ORF)", _RAW, {0: b"IIRS"}),
    ("a raw camera file (ORF)", _RAW, {0: b"MMOR"}),
    ("a raw camera file (MRW)", _RAW, {0: b"\0MRM"}),
    ("a raw camera file (X3F)", _RAW, {0: b"FOVb"}),
    ("a video (AVI)", _FRAME, {0: b"RIFF", 8: b"AVI "}),
    ("a video (Matroska or WebM)", _FRAME, {0: b"\x1a\x45\xdf\xa3"}),
    ("a video (MPEG)", _FRAME, {0: b"\0\0\x01\xba"}),
    ("a video (MPEG)", _FRAME, {0: b"\0\0\x01\xb3"}),
    ("a video (Flash)", _FRAME, {0: b"FLV\x01"}),
    ("a video (Ogg)", _FRAME, {0: b"OggS"}),
    ("a NumPy array (.npy)", _ARRAY, {0: NUMPY}),
    ("an HDF5 file", _ARRAY, {0: HDF5}),
    ("weather data (GRIB)", _ARRAY, {0: b"GRIB"}),
    ("weather data (BUFR)", _ARRAY, {0: b"BUFR"}),
    ("weather data (BUFR)", _ARRAY, {0: b"ZCZC"}),
    ("a ZIP archive (.npz, .pt and .docx files are such, too)", _UNPACK, {0: ZIP}),
    *((what, _UNPACK, {0: expected}) for expected, (what, _) in COMPRESSED.items()),
    ("a tar archive", _UNPACK, {TAR_AT: TAR}),
    ("an SQLite database", "give an image", {0: b"SQLite format 3\0"}),
    *(("a pickle of Python", _ARRAY, {0: bytes((0x80, protocol))}) for protocol in range(2, 6)),
)
_HEIF = (b"hei", b"hev", b"mif", b"msf")


def foreign_kind(head: bytes) -> str | None:
    """Name the kind of a file that begins so, with what to do; None for what Pillow may read.

    >>> foreign_kind(b"%PDF-1.7")
    'a PDF document; convert a page of it to PNG'
    """
    if not head:
        return f"an empty file; {_FETCH}"
    for what, remedy, places in _SIGNATURES:
        if all(head.startswith(expected, start) for start, expected in places.items()):
            return f"{what}; {remedy}"
    return _markup(_text(head).lstrip()) or _media(head)


def shapeless_kind(head: bytes) -> str | None:
    """Name a file without a signature that is no image: zero bytes or text; None for anything else."""
    if not head.strip(b"\0"):
        return f"nothing but zero bytes, as an interrupted copy leaves them; {_FETCH}"
    text = _text(head)
    if text and all(character.isprintable() or character.isspace() for character in text):
        return "a text, not an image"
    return None


def _markup(text: str) -> str | None:
    """Tell SVG, HTML and XML apart; None for what does not begin with a tag."""
    if not text.startswith("<"):
        return None
    lower = text.lower()
    if "<svg" in lower and "<html" not in lower.partition("<svg")[0]:
        return "an SVG drawing, which has no pixels; convert it to PNG"
    if lower.startswith(("<!doctype html", "<html", "<head", "<body", "<script")) or "<html" in lower:
        return "an HTML page, as a failed download leaves it; download the image itself"
    return "an XML or HTML text, not an image; download the image itself"


def _media(head: bytes) -> str | None:
    """Tell HEIC from video by the brands in the first box of an ISO base media file; None for other files."""
    if head[4:8] != b"ftyp":
        return None
    box = head[8 : int.from_bytes(head[:4], "big")]
    brands = [box[start : start + 4] for start in range(0, len(box), 4) if start != 4]  # 4: the version
    if any(brand in (b"avif", b"avis") for brand in brands):
        return None
    if any(brand.startswith(_HEIF) for brand in brands):
        return f"a HEIC (HEIF) image, which Pillow cannot read without pillow-heif; {_CONVERT}"
    return f"a video (MP4 or QuickTime); {_FRAME}"


def _text(head: bytes) -> str:
    """Decode text whose last character may be cut; empty for anything else."""
    encoding = "utf-16" if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeDecodeError:
        return ""
    return "" if "\0" in text else text
