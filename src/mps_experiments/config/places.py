"""The files and folders that users name, which may be any text at all."""

import os
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
