"""Find and check the input images in the parent, before any GPU work; workers read them again."""

import glob
import importlib.util
import json
import re
import shlex
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from mps_experiments.errors import ConfigError
from mps_experiments.record.workload import ImageInput
from mps_experiments.workloads.files import HEAD_BYTES, file_sha256, first_bytes, no_image
from mps_experiments.workloads.images import Picture, UnsuitableImageError, read_image

SAMPLE = "sample"
_OPTION = "workload.input"
_MOST_SHOWN = 4  # files of a pattern
_MAX_BYTES = 2**30
_EXPECTED = "give sample, the path of an image, or a list of paths [a.jpg,b.jpg]"


def resolve_inputs(value: object) -> tuple[ImageInput, ...]:
    """Return the images that `value` names. Decode and hash each once.

    Raises:
        ConfigError: If a path is missing, unreadable, truncated or not an image.
    """
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise ConfigError(_OPTION, value, _EXPECTED)
    images = {name: _checked(name) for name in dict.fromkeys(names)}
    return tuple(images[name] for name in names)


def path_of(image: ImageInput) -> Path:
    """Return the path of an image on this machine."""
    return sample_photo() if image.name == SAMPLE else Path(image.name)


def sample_photo() -> Path:
    """Find scikit-learn's photo china.jpg (640x427 pixels), without importing scikit-learn."""
    spec = importlib.util.find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise ConfigError(
            _OPTION, "sample", "scikit-learn, which ships the photo, is not installed; give a path"
        )
    return Path(spec.origin).parent / "datasets" / "images" / "china.jpg"


def remarks(images: Iterable[ImageInput]) -> Iterator[str]:
    """Say what was done to the pixels of images, in one line for all that were treated alike."""
    names: dict[str, list[str]] = {}
    for image in dict.fromkeys(images):
        if image.read_as:
            names.setdefault(image.read_as, []).append(image.name)
    for read_as, (first, *others) in names.items():
        more = f" and {len(others)} more" if others else ""
        yield f"{_OPTION}={first}{more}: {read_as}"


def _checked(name: str) -> ImageInput:
    path = sample_photo() if name == SAMPLE else _existing(name)
    try:
        if kind := no_image(first_bytes(path, HEAD_BYTES)):
            raise ConfigError(_OPTION, name, kind)
        digest = file_sha256(path)
    except OSError as error:
        raise ConfigError(_OPTION, name, f"cannot be read ({error.strerror}); {_EXPECTED}") from error
    picture = _decoded(name, path)
    width, height = picture.pixels.size
    return ImageInput(
        name=name if name == SAMPLE else str(path),
        sha256=digest,
        width=width,
        height=height,
        read_as=picture.read_as,
    )


def _decoded(name: str, path: Path) -> Picture:
    """Decode an image. Ignore Pillow's warnings, except about sizes that are not safe to decode."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return read_image(path)
    except UnsuitableImageError as error:
        raise ConfigError(_OPTION, name, str(error)) from error
    except UnidentifiedImageError as error:
        what = "not an image that Pillow can read, or a damaged one"
        raise ConfigError(_OPTION, name, f"{what}; {_EXPECTED}") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        what = f"more than {Image.MAX_IMAGE_PIXELS:,} pixels, too many to decode safely; give a smaller image"
        raise ConfigError(_OPTION, name, what) from error
    except Exception as error:  # OSError, ValueError, struct.error, ...: it depends on the damage
        reason = str(error) or type(error).__name__
        raise ConfigError(_OPTION, name, f"damaged or cut off ({reason}); {_EXPECTED}") from error


def _existing(name: str) -> Path:
    """Return the absolute path of an existing file that is not too large."""
    try:
        path = Path(name).expanduser().absolute()
        if path.is_file() and path.stat().st_size <= _MAX_BYTES:
            return path
        kind = _what_else(path, name)
    # The name is too long, its folder closed, its ~user unknown, or it holds a zero byte.
    except (OSError, RuntimeError, ValueError) as error:
        kind = f"cannot be read ({error}); {_EXPECTED}"
    raise ConfigError(_OPTION, name, kind)


def _what_else(path: Path, name: str) -> str:
    """Say what is there instead of an image. Open nothing, since a pipe would never answer."""
    if path.is_dir():
        images = [file for file in _matches(str(Path(glob.escape(name)) / "*")) if _is_named_as_image(file)]
        return f"a folder, not an image; {_as_list(images)}"
    if path.is_file():
        return f"larger than {_MAX_BYTES} bytes; {_EXPECTED}"
    if path.exists():
        return f"a pipe or a device, not an image; {_EXPECTED}"
    if "://" in name:
        return "an address, which is not downloaded; download the image and give its path"
    if glob.has_magic(name):
        return f"no such file, and a pattern is not expanded; {_as_list(_matches(name))}"
    return f"no such file; {_EXPECTED}"


def _matches(pattern: str) -> list[str]:
    found = glob.glob(str(Path(pattern).expanduser()))  # noqa: PTH207 - Path.glob takes no absolute pattern
    return sorted(file for file in found if Path(file).is_file())


def _is_named_as_image(file: str) -> bool:
    return Path(file).suffix.lower() in Image.registered_extensions()


def _as_list(files: Sequence[str]) -> str:
    """Write files as the argument that would work; of many files only its beginning."""
    if not files:
        return f"no image is there; {_EXPECTED}"
    argument = shlex.quote(f"{_OPTION}=[{','.join(map(_quoted, files[:_MOST_SHOWN]))}]")
    more = f" and so on, {len(files)} files" if len(files) > _MOST_SHOWN else ""
    return f"give the files as a list: {argument}{more}"


def _quoted(file: str) -> str:
    """Quote a name that Hydra would not read as one string."""
    return file if re.fullmatch(r"[\w./-]+", file, re.ASCII) else json.dumps(file, ensure_ascii=False)
