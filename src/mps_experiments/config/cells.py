"""Every cell of a command line, composed once, before any of them runs."""

import argparse
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra import initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import read_write
from omegaconf.errors import OmegaConfBaseException

from mps_experiments.config import mistakes
from mps_experiments.config.composer import Cell, Composer
from mps_experiments.config.files import read_files_with_care, refuse_packages
from mps_experiments.config.flags import read_flags
from mps_experiments.config.internals import BASIC_SWEEPER
from mps_experiments.config.resolvers import register_resolvers
from mps_experiments.config.schema import Config, register_schema
from mps_experiments.config.trust import close_environment, shipped_settings, trust_in
from mps_experiments.errors import ConfigError
from mps_experiments.record.axes import key_of


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The cells to be run, in Hydra's order; none where a sweeper decides as it goes.

    The composer can compose more. The folder is the sweep's, or that of the one run.
    """

    composer: Composer
    folder: Path
    cells: tuple[Cell, ...]

    def again(self, number: int, of: int, repeat: int) -> Cell:
        """Compose the cell with number `of` once more, as another repeat, under a number of its own."""
        overrides = [text for text in self.cells[of].overrides if key_of(text) != "repeat"]
        return self.composer.cell([*overrides, f"repeat={repeat}"], number)


@dataclass(frozen=True, kw_only=True)
class Request:
    """What one command line asks for; no grid for one that only shows something (--help, --cfg, ...)."""

    multirun: bool
    grid: Grid | None = None

    @property
    def cells(self) -> tuple[Config, ...]:
        """Return the configuration of every cell, in Hydra's order."""
        return tuple(cell.config for cell in self.grid.cells) if self.grid else ()

    @property
    def varied(self) -> frozenset[str]:
        """Return the options and groups whose values differ between the cells."""
        lists = [cell.overrides for cell in self.grid.cells] if self.grid else []
        common = set.intersection(*map(set, lists)) if lists else set()
        return frozenset(key_of(text) for texts in lists for text in texts if text not in common)


def parse(arguments: list[str]) -> Request:
    """Compose every cell that the command line asks for.

    Raises:
        ConfigError: If a flag, an override, a group or a value does not fit.
    """
    register_schema()
    register_resolvers()
    flags = read_flags(arguments)
    read_files_with_care(allow_code=False)
    if flags.hydra_help or flags.shell_completion:
        return Request(multirun=False)
    shipped_settings()  # cached: Hydra can be initialised only once at a time
    with initialize_config_dir(version_base="1.3", config_dir=flags.config_path, job_name="mps_experiments"):
        loader = GlobalHydra.instance().config_loader()
        given = _read(flags.overrides, loader)
        trust = trust_in(given)
        read_files_with_care(trust.allow_code)
        close_environment(trust)
        for override in given:
            if override.key_or_group == "hydra.searchpath" and not trust.allow_code:
                refuse_packages(override.value())
        return _request(Composer(loader, flags, given, trust), flags, given)


def _read(texts: Sequence[str], loader: ConfigLoader) -> list[Override]:
    """Read each override by itself, so that a mistake is reported with the one that has it."""
    parser = OverridesParser.create(loader)
    overrides = []
    for text in texts:
        try:
            override = parser.parse_overrides([text])[0]
        except AttributeError as error:
            what = "its grammar needs Python's assertions: unset PYTHONOPTIMIZE, or list the values, as 1,2"
            raise ConfigError(*mistakes.split(text), what) from error
        except (HydraException, ValueError) as error:  # ValueError: a number of thousands of digits
            raise mistakes.unreadable(text) from error
        override.input_line = text
        mistakes.refuse_form(override, loader.get_group_options)
        overrides.append(override)
    return overrides


def _request(composer: Composer, flags: argparse.Namespace, given: list[Override]) -> Request:
    master = composer.master
    try:
        multirun = flags.multirun or master.hydra.mode is RunMode.MULTIRUN
    except OmegaConfBaseException as error:  # an interpolation that means something in a running cell only
        raise ConfigError("hydra.mode", "", "must be RUN or MULTIRUN, written out") from error
    for override in given:
        mistakes.refuse_sweep(override, multirun)
    if flags.help or flags.cfg or flags.info:
        return Request(multirun=multirun)
    texts = tuple(str(override.input_line) for override in given if not override.is_hydra_override())
    if not multirun:
        cell = composer.alone(texts)
        return Request(multirun=False, grid=Grid(composer=composer, folder=cell.folder, cells=(cell,)))
    folder = Path(composer.sweep_folder).absolute()
    if master.hydra.sweeper._target_ == BASIC_SWEEPER:
        lists = _lists(composer, given)
        cells = tuple(composer.cell(overrides, number) for number, overrides in enumerate(lists))
        _refuse_equal(cells)
    else:
        cells = ()
        typed = [str(override.input_line) for override in given if override.key_or_group == "precision"]
        if composer.config.precision or typed:
            value = mistakes.split(typed[-1])[1] if typed else composer.config.precision
            raise ConfigError("precision", value, "adds blocks only with Hydra's basic sweeper; leave it out")
    with read_write(master.hydra):
        master.hydra.overrides.task = list(texts)  # what cells vary, too: for multirun.yaml
    return Request(multirun=True, grid=Grid(composer=composer, folder=folder, cells=cells))


def _lists(composer: Composer, given: list[Override]) -> list[tuple[str, ...]]:
    """Return the overrides of each cell, the last option varying fastest."""
    params = composer.master.hydra.sweeper.params or {}
    swept = _read([f"{key}={value}" for key, value in params.items()], composer.loader)
    for override in swept:
        mistakes.refuse_sweep(override, multirun=True)
    swept += [override for override in given if not override.is_hydra_override()]
    columns: dict[str, list[str]] = {}
    for override in swept:
        key = override.get_key_element()
        if override.is_sweep_override():
            columns[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
        else:
            columns[key] = [f"{key}={override.get_value_element_as_str()}"]
    if composer.config.precision and not any(key_of(key) == "repeat" for key in columns):
        # Blocks are added: all have names of one kind.
        columns["repeat"] = [f"repeat={composer.config.repeat}"]
    count = math.prod(map(len, columns.values()))
    if count > mistakes.MAX_CELLS:
        what = f"{count} runs are more than {mistakes.MAX_CELLS}; sweep over fewer values"
        raise ConfigError("command line", "", what)
    return list(itertools.product(*columns.values()))


def _refuse_equal(cells: Sequence[Cell]) -> None:
    """Refuse two cells that are the same: they would count as repeats, but no repeat tells them apart."""
    seen: dict[str, Cell] = {}
    for cell in cells:
        if (same := seen.setdefault(repr(cell.config), cell)) is not cell:
            first = " ".join(sorted(set(same.overrides) - set(cell.overrides)))
            second = " ".join(sorted(set(cell.overrides) - set(same.overrides)))
            what = f"{second} is the same cell as {first}; give one of them"
            raise ConfigError("command line", "", what)
