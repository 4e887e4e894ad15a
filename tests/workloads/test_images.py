"""Every mode of Pillow, orientation and kind of transparency, with the pixels that a model has to get."""

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from mps_experiments.workloads.images import Picture, UnsuitableImageError, formats, picture_of, read_image

ORIENTATION = ExifTags.Base.Orientation
WHITE, RED, GREEN, BLUE, BLACK = (255, 255, 255), (255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 0, 0)
ON_WHITE = "transparent pixels over white"
GREY_16 = np.array([[0, 257, 25700], [30000, 65534, 65535]], np.uint16)

# An upright image of 3x2 quarters; as each orientation stores it, the name of the operation undone.
STORED: dict[int, Image.Transpose | None] = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def saved(path: Path, image: Image.Image, **options: object) -> Picture:
    image.save(path, **options)  # type: ignore[arg-type]
    return read_image(path)


def pixels(picture: Picture) -> list[object]:
    return [tuple(each) for each in np.asarray(picture.pixels).reshape(-1, 3).tolist()]


def scene() -> Image.Image:
    """Draw red, green, blue / black, white, red: 48 x 32 pixels, wide enough for lossy formats."""
    quarters = np.array([[RED, GREEN, BLUE], [BLACK, WHITE, RED]], np.uint8)
    return Image.fromarray(quarters.repeat(16, axis=0).repeat(16, axis=1))


@pytest.mark.parametrize(
    ("mode", "colour", "seen", "read_as"),
    [
        ("1", 1, WHITE, ""),
        ("L", 100, (100, 100, 100), ""),
        ("RGB", (1, 2, 3), (1, 2, 3), ""),
        ("RGBX", (1, 2, 3, 0), (1, 2, 3), ""),
        ("CMYK", (0, 255, 255, 0), RED, "CMYK to RGB"),
        ("YCbCr", (76, 85, 255), (254, 0, 0), ""),
        ("HSV", (85, 255, 255), GREEN, "HSV to RGB"),
        ("RGBA", (1, 2, 3, 255), (1, 2, 3), ""),
        ("RGBA", (255, 0, 0, 0), WHITE, ON_WHITE),
        ("RGBA", (255, 0, 0, 51), (255, 204, 204), ON_WHITE),
        ("RGBa", (0, 0, 0, 0), WHITE, ON_WHITE),
        ("RGBa", (51, 0, 0, 51), (255, 204, 204), ON_WHITE),
        ("LA", (0, 255), BLACK, ""),
        ("LA", (0, 51), (204, 204, 204), ON_WHITE),
        ("La", (0, 51), (204, 204, 204), ON_WHITE),
    ],
)
def test_each_mode_of_8_bits_is_brought_to_rgb(
    mode: str, colour: object, seen: tuple[int, ...], read_as: str
) -> None:
    picture = picture_of(Image.new(mode, (2, 1), colour))  # type: ignore[arg-type]
    assert picture.pixels.mode == "RGB"
    assert pixels(picture) == [seen, seen]
    assert picture.read_as == read_as


@pytest.mark.parametrize("mode", ["P", "PA"])
def test_a_palette_is_looked_up(mode: str) -> None:
    image = Image.new(mode, (1, 1), 1 if mode == "P" else (1, 255))
    image.putpalette([*BLACK, *RED])
    assert pixels(picture_of(image)) == [RED]


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.pgm", "a.jp2"])
def test_16_bit_grey_keeps_its_16_bits(tmp_path: Path, name: str) -> None:
    picture = saved(tmp_path / name, Image.fromarray(GREY_16))
    assert picture.pixels.mode == "I;16"
    assert np.array_equal(np.asarray(picture.pixels), GREY_16)
    assert picture.read_as == "16-bit grey with values up to 65535, 65535 is white"


@pytest.mark.parametrize("largest", [255, 256, 1000, 4095, 65535])
def test_a_pgm_is_scaled_by_the_largest_value_that_it_names(tmp_path: Path, largest: int) -> None:
    (tmp_path / "a.pgm").write_text(f"P2 3 1 {largest} 0 {largest // 2} {largest}")
    picture = read_image(tmp_path / "a.pgm")
    white = 255 if largest < 256 else 65535
    grey = np.asarray(picture.pixels)[:, :, 0] if picture.pixels.mode == "RGB" else np.asarray(picture.pixels)
    assert grey.tolist() == [[0, round(largest // 2 / largest * white), white]]


def tiff(
    path: Path, data: bytes, *, bits: int, photometric: int = 1, subfile_type: int = 0, sample_format: int = 1
) -> Path:
    """Write an uncompressed TIFF of one row of two pixels."""
    entries = [
        (254, 4, subfile_type),
        (256, 4, 2),
        (257, 4, 1),
        (258, 3, bits),
        (259, 3, 1),
        (262, 3, photometric),
        (273, 4, 8),
        (277, 3, 1),
        (278, 4, 1),
        (279, 4, len(data)),
        (339, 3, sample_format),
    ]
    directory = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    start = 8 + len(data)
    path.write_bytes(
        struct.pack("<2sHI", b"II", 42, start) + data + struct.pack("<H", len(entries)) + directory + bytes(4)
    )
    return path


def test_a_tiff_of_12_bits_is_scaled_by_12_bits(tmp_path: Path) -> None:
    # Two pixels in three bytes: 4095 and 2048.
    picture = read_image(tiff(tmp_path / "a.tif", b"\xff\xf8\x00\x00", bits=12))
    assert np.asarray(picture.pixels).tolist() == [[65535, round(2048 / 4095 * 65535)]]
    assert picture.read_as == "12-bit grey with values up to 4095, 4095 is white"


def test_a_tiff_in_which_zero_is_white_is_inverted(tmp_path: Path) -> None:
    data = struct.pack("<HH", 0, 65000)
    picture = read_image(tiff(tmp_path / "a.tif", data, bits=16, photometric=0))
    assert np.asarray(picture.pixels).tolist() == [[65535, 535]]


@pytest.mark.parametrize(("mode", "name"), [("F", "a.tif"), ("F", "a.pfm"), ("I", "a.tif"), ("L", "a.tif")])
def test_pixels_without_a_range_are_refused(tmp_path: Path, mode: str, name: str) -> None:
    Image.new(mode, (2, 1)).save(tmp_path / name)
    if mode == "L":
        tiff(tmp_path / name, b"\xff\x01", bits=8, sample_format=2)  # signed
    with pytest.raises(UnsuitableImageError, match=r"have no defined range; scale them to 16 bits"):
        read_image(tmp_path / name)


def test_the_preview_in_a_raw_camera_file_is_refused(tmp_path: Path) -> None:
    path = tiff(tmp_path / "a.nef", bytes(2), bits=8, subfile_type=1)
    with pytest.raises(UnsuitableImageError, match=r"^the first page is a preview, as in raw camera files"):
        read_image(path)


def turned(path: Path, image: Image.Image, orientation: int, **options: object) -> Picture:
    """Store an image as this orientation does, and read it."""
    exif, operation = Image.Exif(), STORED[orientation]
    exif[ORIENTATION] = orientation
    return saved(path, image if operation is None else image.transpose(operation), exif=exif, **options)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.png", {}),
        ("a.tif", {}),
        ("a.tif", {"compression": "tiff_lzw"}),
        ("a.tif", {"save_all": True, "append_images": [Image.new("RGB", (2, 1))]}),
        ("a.webp", {"lossless": True}),
        ("a.jpg", {"quality": 95}),
        ("a.avif", {"quality": 95}),
    ],
    ids=["png", "tiff", "tiff-lzw", "tiff-pages", "webp", "jpeg", "avif"],
)
def test_an_image_is_turned_upright_once(tmp_path: Path, name: str, options: dict[str, object]) -> None:
    most = 8 if name in ("a.jpg", "a.avif") else 0
    for orientation in STORED:
        picture = turned(tmp_path / name, scene(), orientation, **options)
        assert picture.pixels.size == (48, 32)
        difference = np.asarray(picture.pixels).astype(int)[8::16, 8::16] - np.asarray(scene())[8::16, 8::16]
        assert np.abs(difference).max() <= most, orientation
        assert (f"EXIF orientation {orientation} applied" in picture.read_as) == (orientation != 1)


def test_a_tiff_of_any_mode_is_turned_upright(tmp_path: Path) -> None:
    # Pillow would map some modes into memory, and then turn other bytes than those of the image.
    wrong = []
    for mode in ("1", "L", "P", "RGBA", "RGBX", "CMYK"):
        image = scene().convert(mode)
        for orientation in STORED:
            picture = turned(tmp_path / "a.tif", image, orientation)
            if not np.array_equal(np.asarray(picture.pixels), np.asarray(image.convert("RGB"))):
                wrong.append((mode, orientation))
    assert wrong == []


@pytest.mark.parametrize("name", ["a.tif", "a.png"])
def test_16_bit_grey_is_turned_upright_too(tmp_path: Path, name: str) -> None:
    for orientation in STORED:
        picture = turned(tmp_path / name, Image.fromarray(GREY_16), orientation)
        assert np.array_equal(np.asarray(picture.pixels), GREY_16), orientation


def test_an_orientation_in_xmp_counts_as_well(tmp_path: Path) -> None:
    text = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    picture = saved(tmp_path / "a.jpg", Image.new("RGB", (3, 2)), xmp=text.encode())
    assert picture.pixels.size == (2, 3)
    assert picture.read_as == "EXIF orientation 6 applied"


def test_an_orientation_that_there_is_not_changes_nothing(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 9
    for damaged in (exif, b"Exif\0\0not a directory"):
        picture = saved(tmp_path / "a.jpg", Image.new("RGB", (3, 2)), exif=damaged)
        assert (picture.pixels.size, picture.read_as) == ((3, 2), "")


def test_what_a_palette_png_or_a_gif_hides_is_white(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([*BLACK, *RED])
    image.putpixel((1, 0), 1)
    for name, transparency in (("a.png", 0), ("b.png", b"\0\xff"), ("a.gif", 0)):
        picture = saved(tmp_path / name, image, transparency=transparency)
        assert pixels(picture) == [WHITE, RED]
        assert picture.read_as == "transparent pixels over white"


@pytest.mark.parametrize(("mode", "hidden"), [("L", 7), ("RGB", (7, 7, 7))])
def test_the_one_colour_that_a_png_hides_is_white(tmp_path: Path, mode: str, hidden: object) -> None:
    image = Image.new(mode, (2, 1))
    image.putpixel((1, 0), hidden)  # type: ignore[arg-type]
    assert pixels(saved(tmp_path / "a.png", image, transparency=hidden)) == [BLACK, WHITE]


def test_the_one_grey_of_16_bits_that_a_png_hides_is_white(tmp_path: Path) -> None:
    picture = saved(tmp_path / "a.png", Image.fromarray(GREY_16), transparency=30000)
    assert np.asarray(picture.pixels).tolist() == [[0, 257, 25700], [65535, 65534, 65535]]
    assert picture.read_as.endswith("; transparent pixels over white")


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png", "a.tif", "a.avif"])
def test_of_several_frames_the_first_is_read(tmp_path: Path, name: str) -> None:
    others = [Image.new("RGB", (16, 16), colour) for colour in (GREEN, BLUE)]
    first = Image.new("RGB", (16, 16), RED)
    picture = saved(tmp_path / name, first, save_all=True, append_images=others, duration=50)
    assert np.abs(np.asarray(picture.pixels)[8, 8].astype(int) - RED).max() < 16
    assert picture.read_as == "first of 3 frames"


@pytest.mark.parametrize("name", ["a.ico", "a.tga", "a.pcx", "a.ppm", "a.sgi", "a.dds", "a.qoi", "a.jp2"])
def test_whatever_pillow_decodes_is_read_by_content(tmp_path: Path, name: str) -> None:
    Image.new("RGB", (64, 64), RED).save(tmp_path / name)
    (tmp_path / name).rename(tmp_path / "photo.jpg")
    assert set(pixels(read_image(tmp_path / "photo.jpg"))) == {RED}


def test_formats_that_run_a_program_are_never_tried() -> None:
    assert not {"EPS", "WMF"} & set(formats())
    assert {"JPEG", "PNG", "TIFF", "WEBP", "ICO", "GIF", "BMP"} <= set(formats())
