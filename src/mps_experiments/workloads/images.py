"""Read any image that Pillow itself decodes, upright, as RGB or 16-bit grey."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageOps, TiffImagePlugin

# Pillow hands EPS, a program, to Ghostscript and WMF to Windows, and reads only the header of BUFR to MPEG.
# The pixels of FITS and MCIDAS are measured values, in a unit of their own.
_NEVER = {"EPS", "WMF", "BUFR", "GRIB", "HDF5", "MPEG", "FITS", "MCIDAS"}
# Formats of at most 16 bits that Pillow returns as 32-bit integers: PGM, and PNG before Pillow 11.
_AT_MOST_16 = {"PNG", "PPM"}
_SUBFILE_TYPE, _DNG_VERSION = 254, 50706  # TIFF tags for which Pillow has no name
_REDUCED, _SIGNED, _WHITE_IS_ZERO = 1, 2, 0  # and their values
_ON_WHITE = "transparent pixels over white"


@dataclass(frozen=True, kw_only=True)
class Picture:
    """An image in the form that a model is fed with.

    Attributes:
        pixels: Upright, of mode ``RGB`` or, with all of the 16 bits used, ``I;16``.
        read_as: Description of changes to the decoded pixels; empty for none.
    """

    pixels: Image.Image
    read_as: str


class UnsuitableImageError(ValueError):
    """Pillow reads the image, but its pixels cannot be fed to a model."""


def formats() -> list[str]:
    """List the formats that this Pillow decodes itself, without another program."""
    Image.init()  # registers the formats that this Pillow was built with
    return [name for name in Image.OPEN if name not in _NEVER]


def read_image(path: Path) -> Picture:
    """Decode an image, turn it upright and bring its pixels to RGB or to 16-bit grey.

    Raises:
        UnsuitableImageError: If its pixels have no defined range, or are a preview of others.
        Exception: Whatever Pillow's decoders raise on damaged files.
    """
    # Not by path: Pillow would map the file, and a TIFF that has to be turned would come out scrambled.
    with path.open("rb") as file, Image.open(file, formats=formats()) as image:
        return picture_of(image)


def picture_of(image: Image.Image) -> Picture:
    """Convert an image of any of Pillow's modes to one of the two that models are fed with."""
    _refuse_unsuitable(image)
    count = getattr(image, "n_frames", 1)
    # The frames of a PSD are layers, and the picture shows all of them.
    frames = f"first of {count} frames" if count > 1 and image.format != "PSD" else ""
    upright, turned = _upright(image)
    pixels, converted = _grey(image, upright) if image.mode.startswith("I") else _rgb(upright)
    return Picture(pixels=pixels, read_as="; ".join(filter(None, [frames, turned, converted])))


def _refuse_unsuitable(image: Image.Image) -> None:
    """Refuse a raw camera file in TIFF form, and pixels for which nothing tells the value of white."""
    tags = _tags(image)
    if _DNG_VERSION in tags or tags.get(_SUBFILE_TYPE, 0) & _REDUCED:
        raise UnsuitableImageError(
            "the first page is a preview, as in raw camera files (DNG, NEF, ARW); develop it to PNG or JPEG"
        )
    wide = image.mode == "F" or (image.mode == "I" and image.format not in _AT_MOST_16)
    if wide or tags.get(TiffImagePlugin.SAMPLEFORMAT) == (_SIGNED,):
        raise UnsuitableImageError(
            "floating-point, 32-bit and signed pixels have no defined range; scale them to 16 bits, for "
            "example with PIL.Image.fromarray((pixels / largest * 65535).astype('uint16'))"
        )


def _upright(image: Image.Image) -> tuple[Image.Image, str]:
    """Apply the orientation of EXIF or XMP once: Pillow turns a TIFF as it loads it, and drops the tag."""
    before = image.getexif().get(ExifTags.Base.Orientation)
    upright = ImageOps.exif_transpose(image)
    return upright, f"EXIF orientation {before} applied" if before in range(2, 9) else ""


def _grey(image: Image.Image, upright: Image.Image) -> tuple[Image.Image, str]:
    """Convert to 16-bit grey with 65535 as white, the range from which torchvision scales such integers."""
    pixels = np.asarray(upright).astype(np.uint16)
    tags, bits, largest, notes = _tags(image), 16, pixels.max(), list[str]()
    if tags.get(TiffImagePlugin.BITSPERSAMPLE) == (12,):
        bits = 12
        pixels = np.round(pixels * (65535 / 4095)).astype(np.uint16)
    if tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == _WHITE_IS_ZERO:
        pixels = 65535 - pixels
    notes.append(f"{bits}-bit grey with values up to {largest}, {2**bits - 1} is white")
    transparent = image.info.get("transparency")
    if isinstance(transparent, int) and (hidden := pixels == transparent).any():
        pixels[hidden] = 65535
        notes.append(_ON_WHITE)
    return Image.fromarray(pixels), "; ".join(notes)


def _rgb(image: Image.Image) -> tuple[Image.Image, str]:
    """Convert to 8-bit RGB. Transparent pixels become white, since the colour below them is not meant."""
    if not image.has_transparency_data:
        note = f"{image.mode} to RGB" if image.mode in ("CMYK", "HSV", "LAB") else ""
        return image.convert("RGB"), note
    rgba = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
    if rgba.getchannel("A").getextrema()[0] == 255:
        return rgba.convert("RGB"), ""
    white = Image.new("RGBA", rgba.size, "white")
    return Image.alpha_composite(white, rgba).convert("RGB"), _ON_WHITE


def _tags(image: Image.Image) -> TiffImagePlugin.ImageFileDirectory_v2 | dict[int, Any]:
    return image.tag_v2 if isinstance(image, TiffImagePlugin.TiffImageFile) else {}
