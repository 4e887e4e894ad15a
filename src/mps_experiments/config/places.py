"""The files and folders that users name, which may be any text at all, and new folders below them."""

import contextlib
import itertools
import os
import time
from pathlib import Path

from mps_experiments.errors import ConfigError


def user_folder(named: str | Path) -> Path:
    """Return the path of an output directory as a user named it, ``~`` and ``~name`` replaced.

    Raises:
        ConfigError: If it begins with the home directory of a user there is not, or can be no folder's name.
    """
    try:
        folder = Path(named).expanduser()
        folder.exists()  # raises for a name that is too long
    except (OSError, RuntimeError) as error:
        raise unwritable("output_dir", named, error) from error
    return folder


def new_folder(parent: Path) -> Path:
    """Make a folder named after this second; what is made in the same second has a folder each.

    One that cannot be made is returned all the same: whoever writes into it says why.
    """
    folder = parent / time.strftime("%Y-%m-%d_%H-%M-%S")
    names = itertools.chain([folder.name], (f"{folder.name}-{number}" for number in itertools.count(1)))
    with contextlib.suppress(OSError):
        folder.parent.mkdir(parents=True, exist_ok=True)
        for name in names:
            with contextlib.suppress(FileExistsError):
                folder.with_name(name).mkdir()
                return folder.with_name(name)
    return folder


def exists(named: str | Path) -> bool:
    """Tell whether a file or folder has this name; `Path.exists` raises for a name that is too long."""
    return os.path.exists(named)  # noqa: PTH110


def is_folder(named: str | Path) -> bool:
    """Tell whether a folder has this name; `Path.is_dir` raises for a name that is too long."""
    return os.path.isdir(named)  # noqa: PTH112


def is_file(named: str | Path) -> bool:
    """Tell whether a file has this name; `Path.is_file` raises for a name that is too long."""
    return os.path.isfile(named)  # noqa: PTH113


def unwritable(option: str, folder: object, error: OSError | RuntimeError) -> ConfigError:
    """Say why a folder cannot be written, and what would do."""
    why = getattr(error, "strerror", None) or str(error)
    return ConfigError(option, folder, f"cannot be written ({why}); name a folder of yours")
