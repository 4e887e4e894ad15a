"""Configuration files of others, looked at before Hydra reads them: that must neither import nor explode."""

import os
from collections.abc import Iterable
from pathlib import Path

import yaml  # type: ignore[import-untyped]
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult
from omegaconf import OmegaConf

from mps_experiments.config import conf_dir
from mps_experiments.errors import ConfigError

_MAX_BYTES = 2**20
_MAX_NODES = 20_000
_MAX_DEPTH = 100
_SEARCHPATH = "hydra.searchpath"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class CheckedFileSource(FileConfigSource):
    """Hydra's reader of configuration files, with a look at each file first."""

    allow_code = False

    def load_config(self, config_path: str) -> ConfigResult:
        """Read one file.

        Raises:
            ConfigError: If the file cannot be read, would need too much memory, or has packages imported.
        """
        path = Path(os.path.realpath(Path(self.path) / self._normalize_file_name(config_path)))
        if path.is_file() and not path.is_relative_to(conf_dir()):
            _refuse_bomb(path)
        loaded = super().load_config(config_path)
        if not self.allow_code and OmegaConf.is_dict(loaded.config):
            refuse_packages(OmegaConf.select(loaded.config, _SEARCHPATH) or ())
        return loaded


def read_files_with_care(allow_code: bool) -> None:
    """From now on Hydra reads configuration files through `CheckedFileSource`."""
    Plugins.instance()  # registers Hydra's own reader, which must not come after ours
    CheckedFileSource.allow_code = allow_code
    SourcesRegistry.instance().types[FileConfigSource.scheme()] = CheckedFileSource


def refuse_packages(searchpath: object) -> None:
    """Refuse places to look for configuration files that Python would import.

    Raises:
        ConfigError: With the first.
    """
    for place in searchpath if isinstance(searchpath, Iterable) else ():
        scheme, separator, _ = str(place).partition("://")
        if separator and scheme != "file":
            what = "is imported, which runs its code; give a folder, or add allow_code=true"
            raise ConfigError("configuration", "", f"{_SEARCHPATH}={place} {what}")


def _refuse_bomb(path: Path) -> None:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ConfigError(
                "configuration", "", f"{path} has more than {_MAX_BYTES} bytes; make it smaller"
            )
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError("configuration", "", f"{path} cannot be read ({error.strerror})") from error
    if not _is_small(text):
        what = f"has more than {_MAX_NODES} values, or is nested deeper than {_MAX_DEPTH}"
        raise ConfigError("configuration", "", f"{path} {what}, its aliases written out; make it smaller")


def _is_small(text: str) -> bool:
    """Whether a YAML text with all its aliases written out stays small; nothing is written out here.

    Raises:
        yaml.YAMLError: If it is no YAML.
    """
    sizes, names, known = [0], [""], {}
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            sizes.append(1)
            names.append(event.anchor)
        elif isinstance(event, yaml.CollectionEndEvent):
            size, name = sizes.pop(), names.pop()
            known[name] = size
            sizes[-1] += size
        elif isinstance(event, yaml.ScalarEvent):
            sizes[-1] += 1
        elif isinstance(event, yaml.AliasEvent):
            inside_itself = event.anchor in names
            sizes[-1] += _MAX_NODES + 1 if inside_itself else known.get(event.anchor, 1)
        if sizes[-1] > _MAX_NODES or len(sizes) > _MAX_DEPTH:
            return False
    return True
