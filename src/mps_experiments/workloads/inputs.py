"""Images: found and checked in the parent, before any GPU work, and read again by the workers."""

import importlib.util
import warnings
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from mps_experiments.errors import ConfigError

_OPTION = "workload.input"
_EXPECTED = "give sample, the path of an image, or a list of paths [a.jpg,b.jpg]"


def resolve_inputs(value: object) -> tuple[str, ...]:
    """Absolute paths of the images that `value` names, each decoded once.

    Raises:
        ConfigError: If a path is missing, unreadable, truncated or not an image.
    """
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise ConfigError(_OPTION, value, _EXPECTED)
    paths = tuple(sample_photo() if name == "sample" else Path(name).expanduser().absolute() for name in names)
    for path in dict.fromkeys(paths):
        _check_image(path)
    return tuple(str(path) for path in paths)


def sample_photo() -> Path:
    """The 640x427 photo china.jpg that scikit-learn ships, found without importing scikit-learn."""
    spec = importlib.util.find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise ConfigError(_OPTION, "sample", "scikit-learn, which ships the photo, is not installed; give a path")
    return Path(spec.origin).parent / "datasets" / "images" / "china.jpg"


def read_image(path: str) -> Image.Image:
    """The image as RGB, fully decoded."""
    with Image.open(path) as image:
        return image.convert("RGB")


def _check_image(path: Path) -> None:
    if not path.is_file():
        kind = "a folder, not an image" if path.is_dir() else "no such file"
        raise ConfigError(_OPTION, path, f"{kind}; {_EXPECTED}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            read_image(str(path))
    except UnidentifiedImageError as error:
        raise ConfigError(_OPTION, path, f"not an image that Pillow can read; {_EXPECTED}") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ConfigError(_OPTION, path, "more pixels than Pillow decodes safely; give a smaller image") from error
    except (OSError, ValueError, SyntaxError) as error:  # Pillow's decoders raise all three on damaged files
        raise ConfigError(_OPTION, path, f"a damaged or unreadable image ({error}); {_EXPECTED}") from error
