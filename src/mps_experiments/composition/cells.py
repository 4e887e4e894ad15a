"""Every cell of a command line, composed as Hydra will compose it when its turn comes."""

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.utils import get_args_parser
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, flag_override
from omegaconf.errors import OmegaConfBaseException

from mps_experiments.axes import key_of
from mps_experiments.composition import mistakes
from mps_experiments.composition.launcher import register_launcher
from mps_experiments.composition.places import refuse_places
from mps_experiments.composition.resolvers import register_resolvers
from mps_experiments.composition.safety import Trust, close_environment, refuse_code, trust_in
from mps_experiments.composition.sources import read_files_with_care, refuse_packages
from mps_experiments.config import CONFIG_NAME, Config, conf_dir, register_schema
from mps_experiments.errors import ConfigError

_SHOW_FLAGS = ("run", "multirun", "cfg", "info", "shell_completion")  # Hydra takes one of them


@dataclass(frozen=True, kw_only=True)
class Request:
    """What one command line asks for."""

    runs: bool
    """Whether cells are to be run, or only something to be shown (--help, --cfg, ...)."""
    multirun: bool
    varied: frozenset[str] = frozenset()
    """Options and groups whose values differ between the cells."""
    cells: tuple[Config, ...]
    """Every cell in the order Hydra will run them; empty where the sweeper decides as it goes."""


def parse(arguments: list[str]) -> Request:
    """Compose every cell that the command line asks for.

    Raises:
        ConfigError: If a flag, an override, a group or a value does not fit.
    """
    register_schema()
    register_resolvers()
    register_launcher()
    args = _flags(arguments)
    _check_current_folder()
    read_files_with_care(allow_code=False)
    only_shows = args.help or args.hydra_help or args.cfg or args.info or args.shell_completion
    if args.shell_completion or args.hydra_help:
        return Request(runs=False, multirun=False, cells=())
    directory, extra = _config_directories(args)
    with initialize_config_dir(version_base="1.3", config_dir=str(directory)):
        overrides = _read(args.overrides)
        composer = _Composer(args.config_name or CONFIG_NAME, extra, _trust_in(overrides))
        multirun, lists = _expand(composer, overrides, args.multirun)
        cells = tuple(composer.compose(each)[1] for each in lists)
    return Request(runs=not only_shows, multirun=multirun, varied=_varied(lists), cells=cells)


def to_config(config: DictConfig) -> Config:
    """The typed configuration of one cell.

    Raises:
        ConfigError: If a key was added that no option has.
    """
    mistakes.refuse_unknown(config)
    converted = OmegaConf.to_object(config)
    assert isinstance(converted, Config)  # noqa: S101 - the schema is the root of the tree
    return converted


def _check_current_folder() -> None:
    try:
        Path.cwd()
    except OSError as error:
        raise ConfigError("current folder", "", "is not there any more; change to one that is") from error


def _flags(arguments: list[str]) -> argparse.Namespace:
    parser = get_args_parser()
    parser.exit_on_error = False
    try:
        args, unknown = parser.parse_known_args(arguments)
    except argparse.ArgumentError as error:
        raise ConfigError(str(error.argument_name), "", f"{error.message}; --help lists the flags") from error
    if unknown:
        hint = "--help lists the flags"
        if not unknown[0].startswith("-"):
            hint = "all option=value belong together, with the flags before or after them"
        elif "=" in unknown[0]:
            hint = f"options have no dashes: {unknown[0].lstrip('-')}"
        raise ConfigError(unknown[0], "", f"not understood here; {hint}")
    given = [
        f"--{name.replace('_', '-')}" for name in _SHOW_FLAGS if getattr(args, name) not in (None, False)
    ]
    if len(given) > 1 and not (args.help or args.hydra_help):
        raise ConfigError(" ".join(given), "", "these cannot be combined; give one of them")
    if args.experimental_rerun is not None:
        what = "a pickle can run code; repeat the run with the command in sweep.json"
        raise ConfigError("--experimental-rerun", args.experimental_rerun, what)
    if args.hydra_help and args.overrides:
        raise ConfigError("--hydra-help", "", "stands alone; leave the options away")
    if args.resolve and not (args.cfg or args.help):
        raise ConfigError("--resolve", "", "works only with --cfg or --help")
    return args


def _config_directories(args: argparse.Namespace) -> tuple[Path, list[str]]:
    """The main config folder, and the override that adds --config-dir to the search path."""
    directory = Path(args.config_path).absolute() if args.config_path else conf_dir()
    if not directory.is_dir():
        raise ConfigError("--config-path", args.config_path, "no such folder")
    if args.config_path and not Path(args.config_path).is_absolute():  # Hydra would look inside our package
        raise ConfigError("--config-path", args.config_path, f"give the whole path: {directory}")
    if args.config_name and not (directory / args.config_name).with_suffix(".yaml").is_file():
        raise ConfigError("--config-name", args.config_name, f"no such file in {directory}; leave it away")
    if args.config_dir is None:
        return directory, []
    extra = Path(args.config_dir).absolute()
    if not extra.is_dir():
        raise ConfigError("--config-dir", args.config_dir, "no such folder")
    return directory, [f"hydra.searchpath=[{str(extra)!r}]"]


def _read(texts: Sequence[str]) -> list[Override]:
    """Each override by itself, so that a mistake is reported with the one that has it."""
    parser = OverridesParser.create(GlobalHydra.instance().config_loader())
    overrides = []
    for text in texts:
        try:
            override = parser.parse_overrides([text])[0]
        except (HydraException, ValueError) as error:  # ValueError: a number of thousands of digits
            raise mistakes.unreadable(text) from error
        override.input_line = text
        mistakes.refuse_form(override, _choices)
        overrides.append(override)
    return overrides


def _trust_in(overrides: Sequence[Override]) -> Trust:
    """What the command line vouches for; from now on Hydra reads files and environment accordingly."""
    trust = trust_in(overrides)
    read_files_with_care(trust.allow_code)
    close_environment(trust)
    for override in overrides:
        if override.key_or_group == "hydra.searchpath" and not trust.allow_code:
            refuse_packages(override.value())
    return trust


def _expand(composer: "_Composer", given: list[Override], multirun: bool) -> tuple[bool, list[list[str]]]:
    """Whether this is a sweep, and the overrides of each cell."""
    texts = {id(override): str(override.input_line) for override in given}
    hydra, common = composer.compose([texts[id(o)] for o in given if not o.is_sweep_override()])
    multirun = multirun or _mode(hydra) == RunMode.MULTIRUN
    for override in given:
        mistakes.refuse_sweep(override, multirun)
    if not multirun:
        return False, [list(texts.values())]
    if _class_of(hydra.launcher) != BasicLauncher.__name__:
        _refuse_precision(common, given)
    if _class_of(hydra.sweeper) != BasicSweeper.__name__:
        _refuse_precision(common, given)
        return True, []
    from_config = _read([f"{key}={value}" for key, value in (hydra.sweeper.params or {}).items()])
    for override in from_config:
        mistakes.refuse_sweep(override, multirun)
    swept = [o for o in [*from_config, *given] if not o.key_or_group.startswith("hydra.sweep")]
    count = math.prod(len(list(o.sweep_string_iterator())) for o in swept if o.is_sweep_override())
    if count > mistakes.MAX_CELLS:
        what = f"{count} cells are more than {mistakes.MAX_CELLS}; sweep over fewer values"
        raise ConfigError("command line", "", what)
    kept = [texts[id(o)] for o in given if o.key_or_group.startswith("hydra.sweep")]
    return True, [[*kept, *cell] for cell in BasicSweeper.split_arguments(swept, None)[0]]


def _class_of(plugin: DictConfig | None) -> str:
    return str(plugin.get("_target_", "") if plugin else "").rpartition(".")[2]


def _refuse_precision(config: Config, given: Sequence[Override]) -> None:
    """Refuse added blocks where a sweeper decides as it goes, or a launcher does not ask for the order."""
    swept = [str(o.input_line) for o in given if o.key_or_group == "precision" and o.is_sweep_override()]
    if config.precision or swept:
        value = mistakes.split(swept[0])[1] if swept else config.precision
        raise ConfigError(
            "precision", value, "adds blocks only with Hydra's basic sweeper and launcher; leave it away"
        )


def _mode(hydra: DictConfig) -> object:
    try:
        return hydra.mode
    except OmegaConfBaseException as error:  # an interpolation that means something in a running cell only
        raise ConfigError("hydra.mode", "", "must be RUN or MULTIRUN, written out") from error


def _varied(lists: list[list[str]]) -> frozenset[str]:
    """The keys of overrides that not every cell has."""
    common = set.intersection(*map(set, lists)) if lists else set()
    return frozenset(key_of(text) for cell in lists for text in cell if text not in common)


def _choices(group: str) -> list[str]:
    return list(GlobalHydra.instance().config_loader().get_group_options(group))


@dataclass(frozen=True)
class _Composer:
    """Hydra's composition of one configuration, inside an initialised Hydra."""

    config_name: str
    extra: Sequence[str]
    trust: Trust

    def compose(self, overrides: Sequence[str]) -> tuple[DictConfig, Config]:
        """Hydra's own part, and the cell.

        Raises:
            ConfigError: With the first override that does not fit.
        """
        try:
            return self._checked(overrides)
        except mistakes.COMPOSITION_ERRORS as error:
            raise self._first_mistake(overrides, error) from error

    def _checked(self, overrides: Sequence[str]) -> tuple[DictConfig, Config]:
        given = [*self.extra, *overrides]
        try:
            config = compose(self.config_name, given, return_hydra_config=True)
        except KeyError as error:
            if isinstance(error, OmegaConfBaseException):
                raise
            what = f"hydra.job.env_copy={error} names no environment variable; leave it away"
            raise ConfigError("configuration", "", what) from error
        refuse_code(config, self.trust, given)
        with flag_override(config, ["struct", "readonly"], [False, False]):
            hydra = config.pop("hydra")
            cell = to_config(config)  # first: the places are made of its values
            config["hydra"] = hydra
        refuse_places(config)
        return config.hydra, cell

    def _first_mistake(self, overrides: Sequence[str], error: Exception) -> ConfigError:
        """Hydra seldom says which override it means: find the first without which all is well."""
        for count in range(len(overrides) + 1):
            try:
                self._checked(overrides[:count])
            except mistakes.COMPOSITION_ERRORS as first:
                culprit = overrides[count - 1] if count else ""
                return mistakes.explain(first, culprit, _choices)
        return mistakes.explain(error, "", _choices)
