"""Compose one configuration after another, each with Hydra's own part, checked and typed."""

import argparse
import functools
import pickle
import zlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, flag_override
from omegaconf.errors import OmegaConfBaseException

from mps_experiments.config import mistakes
from mps_experiments.config.grammar import quoted
from mps_experiments.config.places import user_folder
from mps_experiments.config.schema import Config
from mps_experiments.config.trust import Trust, refuse_code, refuse_place
from mps_experiments.errors import ConfigError
from mps_experiments.record.axes import key_of

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One composed cell, with Hydra's number for it, and the folder where its run goes.

    Attributes:
        overrides: What sets it apart on the command line.
        packed: All that Hydra composed; the tree itself would take half a megabyte a cell.
    """

    number: int
    overrides: tuple[str, ...]
    config: Config
    folder: Path
    packed: bytes

    def composed(self) -> DictConfig:
        """Return what Hydra composed, which its caller may change."""
        found: DictConfig = pickle.loads(zlib.decompress(self.packed))  # noqa: S301 - packed by `Composer`
        return found


def to_config(config: DictConfig) -> Config:
    """Return the typed configuration of one cell; a key that no option has is a `ConfigError`."""
    mistakes.refuse_unknown(config, Config())
    converted = OmegaConf.to_object(config)
    assert isinstance(converted, Config)  # noqa: S101 - the schema is the root of the tree
    return converted


def _unlocked(composed: DictConfig) -> AbstractContextManager[object]:
    """Let what Hydra composed be changed in the block."""
    return flag_override(composed, ["struct", "readonly"], [False, False])


def recorded(composed: DictConfig) -> dict[str, Any]:
    """Return the configuration as a record has it; output_dir is absolute, for `sync` from any folder."""
    with _unlocked(composed):
        composed.pop("hydra", None)
    converted = OmegaConf.to_container(composed, resolve=True, enum_to_str=True)
    assert isinstance(converted, dict)  # noqa: S101 - a DictConfig
    options = {str(name): value for name, value in converted.items()}
    return options | {"output_dir": str(user_folder(composed.output_dir).absolute())}


class Composer:
    """Hydra's composition of one command line."""

    def __init__(
        self, loader: ConfigLoader, flags: argparse.Namespace, given: Sequence[Override], trust: Trust
    ) -> None:
        """Compose what all cells share, with the first mistake in it as a `ConfigError`."""
        self.loader = loader
        self._name = flags.config_name
        self._trust = trust
        self._of_hydra = [str(override.input_line) for override in given if override.is_hydra_override()]
        self._extra = [f"hydra.searchpath=[{quoted(flags.config_dir)}]"] if flags.config_dir else []
        if self._extra and any(key_of(text) == "hydra.searchpath" for text in self._of_hydra):
            raise ConfigError("hydra.searchpath", "", "stands alone or as --config-dir; give one of them")
        shared = [str(override.input_line) for override in given if not override.is_sweep_override()]
        self.master, self.config = self._or_mistake(self._checked, shared)

    @functools.cached_property
    def sweep_folder(self) -> str:
        """Return the folder of all cells of a sweep, as Hydra has it."""
        return _place(self.master, "hydra.sweep.dir")

    def alone(self, overrides: tuple[str, ...]) -> Cell:
        """Return the one cell of a command line that is no sweep."""
        return self._packed(self.master, self.config, overrides, number=None)

    def cell(self, overrides: Sequence[str], number: int) -> Cell:
        """Compose one cell of a sweep, with the first override that does not fit as a `ConfigError`."""

        def one(given: Sequence[str]) -> tuple[DictConfig, Cell]:
            composed, config = self._checked(given)
            OmegaConf.copy_cache(from_config=self.master, to_config=composed)  # the same moment in all names
            return composed, self._packed(composed, config, tuple(given[len(self._of_hydra) :]), number)

        composed, cell = self._or_mistake(one, [*self._of_hydra, *overrides])
        if composed.hydra.sweeper.params != self.master.hydra.sweeper.params:
            chosen = next((text for text in overrides if key_of(text) == "experiment"), "experiment")
            what = "has a grid of its own, which a sweep over experiments leaves out; run one at a time"
            raise ConfigError(*mistakes.split(chosen), what)
        folder = _place(composed, "hydra.sweep.dir")
        if folder != self.sweep_folder:
            what = "is one for all cells of a sweep; give one output_dir, and vary hydra.sweep.subdir"
            raise ConfigError("hydra.sweep.dir", folder, what)
        return cell

    def _packed(
        self, composed: DictConfig, config: Config, overrides: tuple[str, ...], number: int | None
    ) -> Cell:
        """Make a cell of what was composed; one whose folder cannot be is a `ConfigError`."""
        with _unlocked(composed):
            hydra = composed.hydra
            hydra.mode = RunMode.RUN if number is None else RunMode.MULTIRUN
            if number is not None:
                hydra.job.num, hydra.job.id = number, str(number)
        if number is None:
            folder = Path(_place(composed, "hydra.run.dir"))
        else:
            folder = Path(_place(composed, "hydra.sweep.dir"))
            folder /= _place(composed, "hydra.sweep.subdir", below="hydra.sweep.dir")
        return Cell(
            number=number or 0,
            overrides=overrides,
            config=config,
            folder=folder.absolute(),
            packed=zlib.compress(pickle.dumps(composed), 1),
        )

    def _checked(self, overrides: Sequence[str]) -> tuple[DictConfig, Config]:
        try:
            config = self.loader.load_configuration(
                self._name, [*self._extra, *overrides], run_mode=RunMode.RUN
            )
        except KeyError as error:
            if isinstance(error, OmegaConfBaseException):
                raise
            what = f"hydra.job.env_copy={error} names no environment variable; leave it out"
            raise ConfigError("configuration", "", what) from error
        for text in self._extra:  # --config-dir is a flag, no override
            config.hydra.overrides.hydra.remove(text)
        refuse_code(config, self._trust, overrides)
        with _unlocked(config):
            hydra = config.pop("hydra")
            typed = to_config(config)
            config["hydra"] = hydra
        return config, typed

    def _or_mistake(self, compose: Callable[[Sequence[str]], _T], overrides: Sequence[str]) -> _T:
        """Compose, or find the first override without which all is well: Hydra seldom says which it means."""
        try:
            return compose(overrides)
        except mistakes.COMPOSITION_ERRORS:
            for count in range(len(overrides) + 1):
                try:
                    compose(overrides[:count])
                except mistakes.COMPOSITION_ERRORS as first:
                    culprit = overrides[count - 1] if count else ""
                    raise mistakes.explain(first, culprit, self.loader.get_group_options) from first
            raise


def _place(composed: DictConfig, option: str, below: str = "") -> str:
    """Return where runs go; a place where nothing can go is a `ConfigError`."""
    HydraConfig.instance().set_config(composed)  # what ${hydra:...} means
    try:
        value = str(OmegaConf.select(composed, option))
    except OmegaConfBaseException as error:
        raise ConfigError("configuration", "", f"{option}: {str(error).splitlines()[0]}") from error
    refuse_place(option, value, below)
    return value
