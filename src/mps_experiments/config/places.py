"""The folder that a user names, with ``~`` and ``~name`` replaced by home directories."""

from pathlib import Path

from mps_experiments.errors import ConfigError


def user_folder(named: str | Path) -> Path:
    """Return the path of an output directory as a user named it.

    Raises:
        ConfigError: If it begins with the home directory of a user there is not, or can be no folder's name.
    """
    try:
        folder = Path(named).expanduser()
        folder.exists()  # raises for a name that is too long
    except (OSError, RuntimeError) as error:
        raise unwritable("output_dir", named, error) from error
    return folder


def unwritable(option: str, folder: object, error: OSError | RuntimeError) -> ConfigError:
    """Say why a folder cannot be written, and what would do."""
    why = getattr(error, "strerror", None) or str(error)
    return ConfigError(option, folder, f"cannot be written ({why}); name a folder of yours")
