"""Read the flags of the command line before Hydra does, which answers a mistake with a page of text."""

import argparse
from pathlib import Path

from hydra import __version__ as hydra_version

from mps_experiments import __version__
from mps_experiments.config.internals import get_args_parser
from mps_experiments.config.mistakes import dashed
from mps_experiments.config.places import is_file, is_folder
from mps_experiments.config.schema import CONFIG_NAME, conf_dir
from mps_experiments.errors import ConfigError

_SHOW_FLAGS = ("run", "multirun", "cfg", "info", "shell_completion")  # Hydra takes one of them


def read_flags(arguments: list[str]) -> argparse.Namespace:
    """Return Hydra's flags with what it would fill in: the whole paths of folders, the file to begin with."""
    try:
        Path.cwd()
    except OSError as error:
        raise ConfigError("current folder", "", "is not there any more; change to one that is") from error
    args = _parsed(arguments)
    for flag, given in (("--config-path", args.config_path), ("--config-dir", args.config_dir)):
        if given and not is_folder(given):
            raise ConfigError(flag, given, "no such folder")
        if given and "${" in str(Path(given).absolute()):
            what = "Hydra would replace the ${...} in its path; give a folder without it"
            raise ConfigError(flag, given, what)
    folder = Path(args.config_path or conf_dir()).absolute()
    if args.config_path and not Path(args.config_path).is_absolute():  # Hydra would look inside our package
        raise ConfigError("--config-path", args.config_path, f"give the whole path: {folder}")
    begins_with = (folder / (args.config_name or CONFIG_NAME)).with_suffix(".yaml")
    if args.config_name and not is_file(begins_with):
        raise ConfigError("--config-name", args.config_name, f"no such file in {folder}; leave it out")
    args.config_path, args.config_name = str(folder), args.config_name or CONFIG_NAME
    args.config_dir = args.config_dir and str(Path(args.config_dir).absolute())
    return args


def _parsed(arguments: list[str]) -> argparse.Namespace:
    parser = get_args_parser()
    parser.exit_on_error = False
    told = {"version": f"mps_experiments {__version__}, Hydra {hydra_version}"}
    vars(parser._option_string_actions["--version"]).update(told)  # Hydra tells its own alone
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
        raise ConfigError("--hydra-help", "", "stands alone; leave out the options")
    if args.resolve and not (args.cfg or args.help):
        raise ConfigError("--resolve", "", "works only with --cfg or --help")
    return args
