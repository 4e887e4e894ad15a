"""Look at a configuration file before Hydra reads it: it must neither import, nor explode, nor mislead."""

import codecs
import os
import re
from collections.abc import Iterable
from pathlib import Path

import yaml  # type: ignore[import-untyped]
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult
from omegaconf import OmegaConf

from mps_experiments.config.internals import FileConfigSource, SourcesRegistry
from mps_experiments.config.mistakes import GROUPS
from mps_experiments.config.schema import conf_dir
from mps_experiments.errors import ConfigError

_MAX_BYTES = 2**20
_MAX_NODES = 20_000
_MAX_DEPTH = 100
_SEARCHPATH = "hydra.searchpath"
_PACKAGE = re.compile(r"^#\s*@package\s", re.MULTILINE)
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class CheckedFileSource(FileConfigSource):
    """Hydra's reader of configuration files, with a look at each file first."""

    allow_code = False

    def load_config(self, config_path: str) -> ConfigResult:
        """Read one file, after a look at it."""
        path = Path(os.path.realpath(Path(self.path) / self._normalize_file_name(config_path)))
        if path.is_file() and not path.is_relative_to(conf_dir()):
            check_file(path, is_experiment=config_path.startswith("experiment/"))
        loaded = super().load_config(config_path)
        if not self.allow_code and OmegaConf.is_dict(loaded.config):
            refuse_packages(OmegaConf.select(loaded.config, _SEARCHPATH) or ())
        return loaded


def read_files_with_care(allow_code: bool) -> None:
    """Have Hydra read configuration files through `CheckedFileSource` from now on."""
    Plugins.instance()  # registers Hydra's own reader, which must not come after ours
    CheckedFileSource.allow_code = allow_code
    SourcesRegistry.instance().types[FileConfigSource.scheme()] = CheckedFileSource


def refuse_packages(searchpath: object) -> None:
    """Refuse places to look for configuration files that Python would import."""
    for place in searchpath if isinstance(searchpath, Iterable) else ():
        scheme, separator, _ = str(place).partition("://")
        if separator and scheme != "file":
            what = "is imported, which runs its code; give a folder, or add allow_code=true"
            raise ConfigError("configuration", "", f"{_SEARCHPATH}={place} {what}")


def check_file(path: Path, is_experiment: bool) -> None:
    """Refuse a file that Hydra would choke on or misread, with the line and what mends it.

    The options of an experiment are meant for the root of the tree.
    """
    text = _text_of(path)
    try:
        if not _is_small(text):
            what = f"has more than {_MAX_NODES} values, or is nested deeper than {_MAX_DEPTH}"
            raise _refusal(path, f"{what}, its aliases written out; make it smaller")
        root = yaml.compose(text, Loader=_LOADER)
    except yaml.YAMLError as error:
        raise _unreadable(path, text, error) from error
    if is_experiment and not _PACKAGE.search(text):
        raise _refusal(path, "line 1: an experiment begins with the line: # @package _global_")
    _refuse_truth_values(path, root)


def _text_of(path: Path) -> str:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise _refusal(path, f"has more than {_MAX_BYTES} bytes; make it smaller")
        content = path.read_bytes()
    except OSError as error:
        raise _refusal(path, f"cannot be read ({error.strerror})") from error
    if content.startswith(codecs.BOM_UTF8):
        raise _refusal(path, "line 1: begins with a byte order mark; save it as UTF-8 without one")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        what = f"byte 0x{content[error.start]:02x} is not UTF-8; save the file as UTF-8"
        raise _refusal(path, f"line {line}: {what}") from error


def _unreadable(path: Path, text: str, error: yaml.YAMLError) -> ConfigError:
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return _refusal(path, f"cannot be read: {str(error).splitlines()[0]}")
    line = [*text.splitlines(), ""][mark.line]
    what = "has a tab; indent with spaces" if "\t" in line else getattr(error, "problem", "") or "is no YAML"
    return _refusal(path, f"line {mark.line + 1}: {what}")


def _refuse_truth_values(path: Path, node: object, at_root: bool = True) -> None:
    """Refuse ``mps: off``: without quotes YAML makes a truth value of it."""
    for pair in node.value if isinstance(node, yaml.CollectionNode) else ():
        key, value = pair if isinstance(node, yaml.MappingNode) else (None, pair)
        typed = str(key.value) if isinstance(key, yaml.ScalarNode) else ""
        name = typed.rpartition("/")[2]
        if name in GROUPS and isinstance(value, yaml.ScalarNode) and value.tag.endswith(":bool"):
            mend = f'choose it in the defaults list: - override /{name}: "{value.value}"'
            if not at_root:
                mend = f'write {typed}: "{value.value}"'
            what = f"{value.value} without quotes is a truth value in YAML; {mend}"
            raise _refusal(path, f"line {value.start_mark.line + 1}: {what}")
        _refuse_truth_values(path, value, at_root=False)


def _is_small(text: str) -> bool:
    """Return whether a YAML text stays small with its aliases written out, without writing them out."""
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


def _refusal(path: Path, why: str) -> ConfigError:
    return ConfigError("configuration", "", f"{path} {why}")
