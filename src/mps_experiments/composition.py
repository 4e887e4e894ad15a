"""From a command line to the cells it asks for, before Hydra starts any of them.

Hydra composes a cell when its turn comes, and reports a mistake with a page of text and exit code 1.
Here every cell of the sweep is composed first, and a mistake anywhere becomes one `ConfigError`.
"""

import difflib
import re
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mps_experiments.config import CONFIG_NAME, Config, conf_dir, options, register_schema
from mps_experiments.errors import ConfigError

_MAX_FOLDER_NAME = 200  # bytes; file systems take 255


@dataclass(frozen=True, kw_only=True)
class Request:
    """What one command line asks for."""

    runs: bool
    """Whether cells are to be run, or only something to be shown (--help, --cfg, ...)."""
    multirun: bool
    cells: tuple[Config, ...]
    """Every cell in the order Hydra will run them; empty where the sweeper decides as it goes."""


def register_resolvers() -> None:
    """Make the names that conf/hydra/default.yaml uses known to OmegaConf."""
    OmegaConf.register_new_resolver("folder_name", folder_name, replace=True)
    OmegaConf.register_new_resolver("option_table", option_table, replace=True)


def folder_name(override_dirname: str) -> str:
    """One path component from Hydra's list of overrides: no separators, at most 200 bytes.

    >>> folder_name("mps=on,workload.input=/a/b.jpg")
    'mps=on,workload.input=_a_b.jpg'
    """
    name = re.sub(r"[^\w=,.+@\[\]-]", "_", override_dirname).lstrip(".")
    return name.encode()[:_MAX_FOLDER_NAME].decode(errors="ignore") or "defaults"


def option_table() -> str:
    """Every option with its type, default and description, for ``--help``."""
    rows = [
        f"{option.name}={'null' if option.default is None else option.default}"
        f"  ({option.type_name})\n    {option.description}"
        for option in options()
    ]
    return "\n".join(rows).replace("$", "$$")


def parse(arguments: list[str]) -> Request:
    """Compose every cell that the command line asks for.

    Raises:
        ConfigError: If an override, a group or a value does not fit.
        SystemExit: With code 2, from argparse, if a flag is unknown.
    """
    register_schema()
    register_resolvers()
    args = get_args_parser().parse_args(arguments)
    only_shows = args.help or args.hydra_help or args.cfg or args.info or args.shell_completion
    if args.shell_completion or args.hydra_help or args.experimental_rerun is not None:
        return Request(runs=args.experimental_rerun is not None, multirun=False, cells=())
    directory, extra = _config_directories(args)
    with initialize_config_dir(version_base="1.3", config_dir=str(directory)):
        try:
            multirun, lists = _expand(args, extra)
            cells = tuple(_compose(args, [*extra, *overrides]) for overrides in lists)
        except (HydraException, OmegaConfBaseException) as error:
            raise _in_one_line(error, args.overrides) from error
    return Request(runs=not only_shows, multirun=multirun, cells=cells)


def _config_directories(args: Namespace) -> tuple[Path, list[str]]:
    """The main config folder, and the override that adds --config-dir to the search path."""
    directory = Path(args.config_path).absolute() if args.config_path else conf_dir()
    if not directory.is_dir():
        raise ConfigError("--config-path", args.config_path, "no such folder")
    if args.config_dir is None:
        return directory, []
    extra = Path(args.config_dir).absolute()
    if not extra.is_dir():
        raise ConfigError("--config-dir", args.config_dir, "no such folder")
    return directory, [f"hydra.searchpath=[{str(extra)!r}]"]


def _expand(args: Namespace, extra: list[str]) -> tuple[bool, list[list[str]]]:
    """Whether this is a sweep, and the overrides of each cell."""
    parsed = OverridesParser.create().parse_overrides(args.overrides)
    single_values = [o.input_line for o in parsed if not o.is_sweep_override() and o.input_line]
    base = compose(args.config_name or CONFIG_NAME, [*extra, *single_values], return_hydra_config=True)
    multirun = args.multirun or base.hydra.mode == RunMode.MULTIRUN
    if not multirun:
        return False, [list(args.overrides)]
    if base.hydra.sweeper.get("_target_", "").rpartition(".")[2] != BasicSweeper.__name__:
        return True, []
    from_config = [f"{key}={value}" for key, value in (base.hydra.sweeper.params or {}).items()]
    swept = OverridesParser.create().parse_overrides([*from_config, *args.overrides])
    kept = [override for override in swept if not override.key_or_group.startswith("hydra.sweep")]
    return True, [list(cell) for cell in BasicSweeper.split_arguments(kept, None)[0]]


def _compose(args: Namespace, overrides: list[str]) -> Config:
    config = compose(args.config_name or CONFIG_NAME, overrides)
    return to_config(config)


def to_config(config: DictConfig) -> Config:
    """The typed configuration of one cell.

    Raises:
        ConfigError: If a key was added that no option has.
    """
    unknown = [str(key) for key in config if key not in Config.__dataclass_fields__]
    if unknown:
        raise ConfigError(f"+{unknown[0]}", config[unknown[0]], _no_such_option(unknown[0]))
    converted = OmegaConf.to_object(config)
    assert isinstance(converted, Config)  # noqa: S101 - the schema is the root of the tree
    return converted


def _in_one_line(error: Exception, overrides: list[str]) -> ConfigError:
    """What went wrong, with the option and the value as the user wrote them."""
    message, cause = str(error), error.__cause__
    key = _key_of(message) or _key_of(str(cause))
    given = _override_of(key, message, overrides)
    option, value = given.split("=", 1) if "=" in given else (given, "")
    if match := re.search(r"Available options in '.*?':\n((?:\t.*\n)+)", message):
        return ConfigError(option, value, f"not an option; choose one of {', '.join(match[1].split())}")
    if "Could not find" in message:
        return ConfigError(option, value, message.splitlines()[0])
    if "Ambiguous value" in message:
        return ConfigError(option, value, "several values need a sweep: add -m")
    if message.startswith("Could not override") or "not in 'Config'" in message:
        return ConfigError(option, value, _no_such_option(option))
    detail = str(cause or error).splitlines()[0].rstrip(".")
    return ConfigError(option, value, _known_type(option) or detail)


def _key_of(message: str) -> str:
    patterns = (
        r"Could not override '(.+?)'",
        r"full_key: (\S+)",
        r"Could not find '(\S+)/",
        r"override '(.+?)'",
    )
    return next((match[1] for p in patterns if (match := re.search(p, message))), "")


def _override_of(key: str, message: str, overrides: list[str]) -> str:
    """The override on the command line that set this key, or the key itself."""
    for override in overrides:
        if override in message or override.lstrip("+~").split("=", 1)[0] == key:
            return override
    return key or "command line"


def _no_such_option(option: str) -> str:
    names = [known.name for known in options()]
    close = difflib.get_close_matches(option.lstrip("+~"), names, n=1)
    return f"no such option; did you mean {close[0]}?" if close else "no such option; --help lists them all"


def _known_type(option: str) -> str:
    for known in options():
        if known.name == option:
            return f"must be of type {known.type_name}, for example {option}={known.default}"
    return ""
