"""Every file of the installed packages that is an image, or is called one, is read or refused in one line."""

import mimetypes
import sysconfig
from pathlib import Path

import pytest

from mps_experiments.errors import ConfigError
from mps_experiments.workloads.inputs import resolve_inputs

_LARGEST = 4_000_000  # bytes, so that the scan stays short
_NO_IMAGE = {".svg", ".pdf", ".npy", ".npz", ".mp4"}


def candidates() -> list[Path]:
    """List files that are named as images, and some that are none."""
    files = sorted(Path(sysconfig.get_path("purelib")).rglob("*.*"))
    kinds = {path: mimetypes.guess_type(path.name)[0] or "" for path in files}
    named = [path for path in files if kinds[path].startswith("image/") or path.suffix in _NO_IMAGE]
    return [path for path in named if path.is_file() and path.stat().st_size <= _LARGEST]


@pytest.mark.filterwarnings("ignore")  # of Pillow, about what it can read all the same
def test_every_image_that_is_installed_is_read_or_refused_in_one_line() -> None:
    read, refused = list[Path](), dict[Path, str]()
    for path in candidates():
        try:
            (image,) = resolve_inputs(str(path))
        except ConfigError as error:
            refused[path] = str(error)
        else:
            assert min(image.width or 0, image.height or 0) > 0
            read.append(path)
    for path, line in refused.items():
        assert line.startswith(f"workload.input={path}: ")
        assert "\n" not in line
    assert len(read) > 30
    assert {path.suffix for path in read} >= {".png", ".jpg"}
    assert not [path for path in refused if path.suffix in (".png", ".jpg", ".gif") and path.stat().st_size]
    assert all(line.endswith("convert it to PNG") for path, line in refused.items() if path.suffix == ".svg")
