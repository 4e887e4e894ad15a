"""Images: found and checked in the parent, before any GPU work, and read again by the workers."""

import hashlib
import importlib.util
import warnings
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from mps_experiments.errors import ConfigError
from mps_experiments.workloads.spec import ImageInput

SAMPLE = "sample"
_OPTION = "workload.input"
# Those that Pillow decodes itself: for EPS, it would run Ghostscript on the file.
_FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TGA", "TIFF", "WEBP")
_MAX_BYTES = 2**30
_EXPECTED = "give sample, the path of an image, or a list of paths [a.jpg,b.jpg]"


def resolve_inputs(value: object) -> tuple[ImageInput, ...]:
    """The images that `value` names, each decoded and hashed once.

    Raises:
        ConfigError: If a path is missing, unreadable, truncated or not an image.
    """
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise ConfigError(_OPTION, value, _EXPECTED)
    images = {name: _checked(name) for name in dict.fromkeys(names)}
    return tuple(images[name] for name in names)


def path_of(image: ImageInput) -> Path:
    """Where the image is on this machine."""
    return sample_photo() if image.name == SAMPLE else Path(image.name)


def sample_photo() -> Path:
    """The 640x427 photo china.jpg that scikit-learn ships, found without importing scikit-learn."""
    spec = importlib.util.find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise ConfigError(
            _OPTION, "sample", "scikit-learn, which ships the photo, is not installed; give a path"
        )
    return Path(spec.origin).parent / "datasets" / "images" / "china.jpg"


def read_image(path: Path) -> Image.Image:
    """The image as RGB, fully decoded."""
    Image.init()  # registers all formats that this Pillow was built with
    with Image.open(path, formats=[name for name in _FORMATS if name in Image.OPEN]) as image:
        return image.convert("RGB")


def _checked(name: str) -> ImageInput:
    path = sample_photo() if name == SAMPLE else _existing(name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            read_image(path)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except UnidentifiedImageError as error:
        raise ConfigError(_OPTION, name, f"not an image that Pillow can read; {_EXPECTED}") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ConfigError(_OPTION, name, "too many pixels to decode safely; give a smaller image") from error
    except (OSError, ValueError, SyntaxError) as error:  # Pillow's decoders raise all three on damaged files
        raise ConfigError(_OPTION, name, f"damaged or unreadable ({error}); {_EXPECTED}") from error
    return ImageInput(name=name if name == SAMPLE else str(path), sha256=digest)


def _existing(name: str) -> Path:
    """The absolute path of an existing file."""
    try:
        path = Path(name).expanduser().absolute()
        if path.is_file() and path.stat().st_size <= _MAX_BYTES:
            return path
        kind = _what_else(path)
    except (
        OSError,
        RuntimeError,
    ) as error:  # a name too long, a folder not to be entered, a ~user nobody has
        kind = f"cannot be read ({error})"
    raise ConfigError(_OPTION, name, f"{kind}; {_EXPECTED}")


def _what_else(path: Path) -> str:
    """What is there instead of an image; nothing is opened, since a pipe would never answer."""
    if path.is_dir():
        return "a folder, not an image"
    if path.is_file():
        return f"larger than {_MAX_BYTES} bytes"
    return "a pipe or a device, not an image" if path.exists() else "no such file"
