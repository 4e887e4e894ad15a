"""Where Hydra may write: names are names, without parts of a path that lead elsewhere."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, flag_override

from mps_experiments.composition.safety import shortened
from mps_experiments.errors import ConfigError

_MAX_NAME = 200  # bytes; file systems take 255


def refuse_places(composed: DictConfig) -> None:
    """Refuse run folders, names and logger names that Hydra would stumble over or be led astray by.

    Args:
        composed: One cell with Hydra's own part; its job gets a number.

    Raises:
        ConfigError: With the first.
        omegaconf.errors.OmegaConfBaseException: If one refers to what there is not.
    """
    with _as_if_running(composed):
        values = {key: OmegaConf.select(composed, key) for key in _PLACES}
    for key, value in values.items():
        if problem := _PLACES[key](value):
            raise ConfigError("configuration", "", f"{key}={shortened(value)} {problem}")
    verbose = composed.hydra.verbose
    names = verbose if OmegaConf.is_list(verbose) else []
    if not (isinstance(verbose, bool | str) or names) or not all(isinstance(name, str) for name in names):
        what = "must be true, false or a list of loggers"
        raise ConfigError("configuration", "", f"hydra.verbose={verbose} {what}")


@contextlib.contextmanager
def _as_if_running(composed: DictConfig) -> Iterator[None]:
    """A cell's number is not known before its turn, and any will do; also for ``${hydra:job.num}``."""
    known = HydraConfig.instance()
    before = known.cfg
    with flag_override(composed, ["struct", "readonly"], [False, False]):
        composed.hydra.job.num, composed.hydra.job.id = 0, "0"
    try:
        known.set_config(composed)
        yield
    finally:
        known.cfg = before


def _folder(value: object) -> str:
    text = str(value)
    if not text:
        return "is empty; write . for the current folder"
    return "" if text.isprintable() else "must be a path of printable characters"


def _below(value: object) -> str:
    """The problem with a path that must stay below the folder it is put into."""
    path = PurePosixPath(str(value))
    if path.is_absolute() or ".." in path.parts or not path.parts:
        return "must be the name of a folder below hydra.sweep.dir, without .. and not absolute"
    return _folder(value)


def _name(value: object) -> str:
    text = str(value)
    if text in ("", ".", "..") or "/" in text or not text.isprintable() or len(text.encode()) > _MAX_NAME:
        return f"must be a name of at most {_MAX_NAME} printable bytes, without /"
    return ""


def _name_or_none(value: object) -> str:
    return "" if value is None else _name(value)


_PLACES: dict[str, Callable[[object], str]] = {
    "hydra.run.dir": _folder,
    "hydra.sweep.dir": _folder,
    "hydra.sweep.subdir": _below,
    "hydra.job.name": _name,
    "hydra.output_subdir": _name_or_none,
}
