"""Read the flags of the command line before Hydra does, which answers a mistake with a page of text."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from hydra._internal.utils import get_args_parser

from mps_experiments.composition.mistakes import dashed
from mps_experiments.config import CONFIG_NAME, conf_dir
from mps_experiments.errors import ConfigError

_SHOW_FLAGS = ("run", "multirun", "cfg", "info", "shell_completion")  # Hydra takes one of them


@dataclass(frozen=True, kw_only=True)
class Flags:
    """What the flags of one command line say.

    Attributes:
        overrides: All option=value.
        multirun: Whether -m was given.
        only_shows: Whether nothing is run (--help, --cfg, ...).
        composes: Whether the options matter for what is shown.
        folder: The main folder of configurations.
        name: The file to begin with in it.
        more: A further folder of configurations (--config-dir).
    """

    overrides: tuple[str, ...]
    multirun: bool
    only_shows: bool
    composes: bool
    folder: Path
    name: str
    more: Path | None


def read_flags(arguments: list[str]) -> Flags:
    """Return what the flags say.

    Raises:
        ConfigError: If a flag does not fit.
    """
    try:
        Path.cwd()
    except OSError as error:
        raise ConfigError("current folder", "", "is not there any more; change to one that is") from error
    args = _parsed(arguments)
    shows_hydra = bool(args.hydra_help or args.shell_completion)
    return Flags(
        overrides=tuple(args.overrides),
        multirun=args.multirun,
        only_shows=bool(args.help or args.cfg or args.info or shows_hydra),
        composes=not shows_hydra,
        folder=_main_folder(args),
        name=args.config_name or CONFIG_NAME,
        more=_more(args),
    )


def _parsed(arguments: list[str]) -> argparse.Namespace:
    parser = get_args_parser()
    parser.exit_on_error = False
    try:
        args, unknown = parser.parse_known_args(arguments)
    except argparse.ArgumentError as error:
        raise ConfigError(str(error.argument_name), "", f"{error.message}; --help lists the flags") from error
    if unknown:
        raise ConfigError(unknown[0], "", f"not understood here; {dashed(unknown[0], arguments)}")
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


def _main_folder(args: argparse.Namespace) -> Path:
    folder = Path(args.config_path).absolute() if args.config_path else conf_dir()
    if not folder.is_dir():
        raise ConfigError("--config-path", args.config_path, "no such folder")
    if args.config_path and not Path(args.config_path).is_absolute():  # Hydra would look inside our package
        raise ConfigError("--config-path", args.config_path, f"give the whole path: {folder}")
    if args.config_name and not (folder / args.config_name).with_suffix(".yaml").is_file():
        raise ConfigError("--config-name", args.config_name, f"no such file in {folder}; leave it away")
    return folder


def _more(args: argparse.Namespace) -> Path | None:
    if args.config_dir is None:
        return None
    folder = Path(args.config_dir).absolute()
    if not folder.is_dir():
        raise ConfigError("--config-dir", args.config_dir, "no such folder")
    return folder
