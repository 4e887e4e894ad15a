"""Every cell of a command line, composed once, before any of them runs."""

import contextlib
import itertools
import math
import pickle
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hydra import initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, flag_override, read_write
from omegaconf.errors import OmegaConfBaseException

from mps_experiments.composition import mistakes
from mps_experiments.composition.files import read_files_with_care, refuse_packages
from mps_experiments.composition.flags import Flags, read_flags
from mps_experiments.composition.resolvers import register_resolvers
from mps_experiments.composition.trust import (
    Trust,
    close_environment,
    refuse_code,
    refuse_place,
    shipped_settings,
    trust_in,
)
from mps_experiments.config import Config, register_schema
from mps_experiments.errors import ConfigError

_BASIC_SWEEPER = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One composed cell.

    Attributes:
        number: Hydra's number for it.
        overrides: What sets it apart on the command line.
        config: The typed configuration.
        folder: Where its run goes.
        packed: All that Hydra composed; the tree itself would take half a megabyte a cell.
    """

    number: int
    overrides: tuple[str, ...]
    config: Config
    folder: Path
    packed: bytes

    def composed(self) -> DictConfig:
        """Return what Hydra composed, which its caller may change."""
        found = pickle.loads(zlib.decompress(self.packed))  # noqa: S301 - packed by `_Composer`
        assert isinstance(found, DictConfig)  # noqa: S101 - as it was packed
        return found


@dataclass(frozen=True, kw_only=True)
class Grid:
    """What is run: all cells of the command line, and how to compose more of them.

    Attributes:
        master: The composed configuration without what the cells vary, for Hydra's own files.
        config: The same, typed: options of the whole sweep are read from it.
        folder: The sweep's folder, or that of the one run.
        cells: In Hydra's order; empty where a sweeper decides as it goes.
    """

    master: DictConfig
    config: Config
    folder: Path
    cells: tuple[Cell, ...]
    compose: Callable[[Sequence[str], int], Cell]
    loader: ConfigLoader

    def again(self, number: int, of: int, repeat: int) -> Cell:
        """Compose the cell with number `of` once more, as another repeat, under a number of its own."""
        overrides = [text for text in self.cells[of].overrides if key_of(text) != "repeat"]
        return self.compose([*overrides, f"repeat={repeat}"], number)


@dataclass(frozen=True, kw_only=True)
class Request:
    """What one command line asks for.

    Attributes:
        multirun: Whether it is a sweep.
        varied: Options and groups whose values differ between the cells.
        grid: What is to be run; None for a command that only shows something (--help, --cfg, ...).
    """

    multirun: bool
    varied: frozenset[str] = frozenset()
    grid: Grid | None = None

    @property
    def runs(self) -> bool:
        """Return whether cells are to be run."""
        return self.grid is not None

    @property
    def cells(self) -> tuple[Config, ...]:
        """Return the configuration of every cell, in Hydra's order."""
        return tuple(cell.config for cell in self.grid.cells) if self.grid else ()


def parse(arguments: list[str]) -> Request:
    """Compose every cell that the command line asks for.

    Raises:
        ConfigError: If a flag, an override, a group or a value does not fit.
    """
    register_schema()
    register_resolvers()
    flags = read_flags(arguments)
    read_files_with_care(allow_code=False)
    if not flags.composes:
        return Request(multirun=False)
    shipped_settings()  # cached: Hydra can be initialised only once at a time
    with initialize_config_dir(version_base="1.3", config_dir=str(flags.folder), job_name="mps_experiments"):
        loader = GlobalHydra.instance().config_loader()
        overrides = _read(flags.overrides, loader)
        composer = _Composer(loader, flags, overrides, _trust_in(overrides))
        return _request(composer, flags, overrides)


def to_config(config: DictConfig) -> Config:
    """Return the typed configuration of one cell.

    Raises:
        ConfigError: If a key was added that no option has.
    """
    mistakes.refuse_unknown(config)
    converted = OmegaConf.to_object(config)
    assert isinstance(converted, Config)  # noqa: S101 - the schema is the root of the tree
    return converted


def key_of(override: str) -> str:
    """Return the option or group that an override sets."""
    return override.lstrip("+~").partition("=")[0]


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
        mistakes.refuse_form(override, _choices(loader))
        overrides.append(override)
    return overrides


def _trust_in(overrides: Sequence[Override]) -> Trust:
    """Return what the command line vouches for; from now on files and environment are read accordingly."""
    trust = trust_in(overrides)
    read_files_with_care(trust.allow_code)
    close_environment(trust)
    for override in overrides:
        if override.key_or_group == "hydra.searchpath" and not trust.allow_code:
            refuse_packages(override.value())
    return trust


def _request(composer: "_Composer", flags: Flags, given: list[Override]) -> Request:
    plain = [str(override.input_line) for override in given if not override.is_sweep_override()]
    master, config = composer.compose(plain)
    multirun = flags.multirun or _mode(master) is RunMode.MULTIRUN
    for override in given:
        mistakes.refuse_sweep(override, multirun)
    if flags.only_shows:
        return Request(multirun=multirun)
    if not multirun:
        cell = composer.packed(master, config, _task_texts(given), number=None)
        return _run_of(composer, master, config, cell.folder, (cell,), multirun=False)
    lists = _lists(composer, master, config, given)
    folder = Path(composer.place(master, "hydra.sweep.dir")).absolute()
    compose = partial(composer.cell, master)
    cells = tuple(compose(overrides, number) for number, overrides in enumerate(lists))
    _refuse_equal(cells)
    with read_write(master.hydra):
        master.hydra.overrides.task = list(_task_texts(given))  # what cells vary, too: for multirun.yaml
    return _run_of(composer, master, config, folder, cells, multirun=True)


def _run_of(
    composer: "_Composer",
    master: DictConfig,
    config: Config,
    folder: Path,
    cells: tuple[Cell, ...],
    multirun: bool,
) -> Request:
    grid = Grid(
        master=master,
        config=config,
        folder=folder,
        cells=cells,
        compose=partial(composer.cell, master),
        loader=composer.loader,
    )
    return Request(multirun=multirun, varied=_varied([cell.overrides for cell in cells]), grid=grid)


def _lists(
    composer: "_Composer", master: DictConfig, config: Config, given: list[Override]
) -> list[tuple[str, ...]]:
    """Return the overrides of each cell, the last option varying fastest; none for a sweeper that decides."""
    if master.hydra.sweeper._target_ != _BASIC_SWEEPER:
        _refuse_precision(config, given)
        return []
    params = master.hydra.sweeper.params or {}
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
    if config.precision and not any(key_of(key) == "repeat" for key in columns):
        columns["repeat"] = [f"repeat={config.repeat}"]  # blocks are added: all have names of one kind
    count = math.prod(map(len, columns.values()))
    if count > mistakes.MAX_CELLS:
        what = f"{count} cells are more than {mistakes.MAX_CELLS}; sweep over fewer values"
        raise ConfigError("command line", "", what)
    return list(itertools.product(*columns.values()))


def _refuse_precision(config: Config, given: Sequence[Override]) -> None:
    """Refuse added blocks where a sweeper decides as it goes."""
    swept = [str(o.input_line) for o in given if o.key_or_group == "precision" and o.is_sweep_override()]
    if config.precision or swept:
        value = mistakes.split(swept[0])[1] if swept else config.precision
        raise ConfigError("precision", value, "adds blocks only with Hydra's basic sweeper; leave it away")


def _refuse_equal(cells: Sequence[Cell]) -> None:
    """Refuse two cells that are the same: they would count as repeats, but no repeat tells them apart."""
    seen: dict[str, Cell] = {}
    for cell in cells:
        if (same := seen.setdefault(repr(cell.config), cell)) is cell:
            continue
        first, second = ((set(a.overrides) - set(b.overrides)) for a, b in ((same, cell), (cell, same)))
        what = f"{' '.join(sorted(second))} is the same cell as {' '.join(sorted(first))}; give one of them"
        raise ConfigError("command line", "", what)


def _mode(composed: DictConfig) -> object:
    try:
        return composed.hydra.mode
    except OmegaConfBaseException as error:  # an interpolation that means something in a running cell only
        raise ConfigError("hydra.mode", "", "must be RUN or MULTIRUN, written out") from error


def _varied(lists: Sequence[tuple[str, ...]]) -> frozenset[str]:
    """Return the keys of overrides that not every cell has."""
    common = set.intersection(*map(set, lists)) if lists else set()
    return frozenset(key_of(text) for cell in lists for text in cell if text not in common)


def _task_texts(given: Sequence[Override]) -> tuple[str, ...]:
    return tuple(str(override.input_line) for override in given if not override.is_hydra_override())


def _choices(loader: ConfigLoader) -> mistakes.Choices:
    return lambda group: list(loader.get_group_options(group))


class _Composer:
    """Hydra's composition of one command line."""

    def __init__(self, loader: ConfigLoader, flags: Flags, given: Sequence[Override], trust: Trust) -> None:
        self.loader = loader
        self._name = flags.name
        self._trust = trust
        self._of_hydra = [str(override.input_line) for override in given if override.is_hydra_override()]
        self._extra = [f"hydra.searchpath=[{str(flags.more)!r}]"] if flags.more else []
        if self._extra and any(key_of(text) == "hydra.searchpath" for text in self._of_hydra):
            raise ConfigError("hydra.searchpath", "", "stands alone or as --config-dir; give one of them")

    def compose(self, overrides: Sequence[str]) -> tuple[DictConfig, Config]:
        """Compose one configuration, with Hydra's own part and typed.

        Raises:
            ConfigError: With the first override that does not fit.
        """
        try:
            return self._checked(overrides)
        except mistakes.COMPOSITION_ERRORS as error:
            raise self._first_mistake(self._checked, overrides, error) from error

    def cell(self, master: DictConfig, overrides: Sequence[str], number: int) -> Cell:
        """Compose one cell of a sweep.

        Raises:
            ConfigError: With the first override that does not fit.
        """

        def one(given: Sequence[str]) -> tuple[DictConfig, Cell]:
            composed, config = self._checked(given)
            OmegaConf.copy_cache(from_config=master, to_config=composed)  # the same moment in all names
            return composed, self.packed(composed, config, tuple(given[len(self._of_hydra) :]), number)

        given = [*self._of_hydra, *overrides]
        try:
            composed, cell = one(given)
        except mistakes.COMPOSITION_ERRORS as error:
            raise self._first_mistake(one, given, error) from error
        if composed.hydra.sweeper.params != master.hydra.sweeper.params:
            chosen = next((text for text in overrides if key_of(text) == "experiment"), "experiment")
            what = "has a grid of its own, which a sweep over experiments leaves out; run one at a time"
            raise ConfigError(*mistakes.split(chosen), what)
        folder = self.place(composed, "hydra.sweep.dir")
        if folder != self.place(master, "hydra.sweep.dir"):
            what = "is one for all cells of a sweep; give one output_dir, and vary hydra.sweep.subdir"
            raise ConfigError("hydra.sweep.dir", folder, what)
        return cell

    def packed(
        self, composed: DictConfig, config: Config, overrides: tuple[str, ...], number: int | None
    ) -> Cell:
        """Make a cell of what was composed.

        Raises:
            ConfigError: If its folder cannot be.
        """
        hydra = composed.hydra
        hydra.mode = RunMode.RUN if number is None else RunMode.MULTIRUN
        if number is None:
            folder = Path(self.place(composed, "hydra.run.dir"))
        else:
            with flag_override(composed, ["struct", "readonly"], [False, False]):
                hydra.job.num, hydra.job.id = number, str(number)
            folder = Path(self.place(composed, "hydra.sweep.dir"))
            folder /= self.place(composed, "hydra.sweep.subdir", below="hydra.sweep.dir")
        return Cell(
            number=number or 0,
            overrides=overrides,
            config=config,
            folder=folder.absolute(),
            packed=zlib.compress(pickle.dumps(composed), 1),
        )

    def place(self, composed: DictConfig, option: str, below: str = "") -> str:
        """Return where runs go.

        Raises:
            ConfigError: If nothing can go there.
        """
        try:
            with _known_to_hydra(composed):
                value = str(OmegaConf.select(composed, option))
        except OmegaConfBaseException as error:
            raise ConfigError("configuration", "", f"{option}: {str(error).splitlines()[0]}") from error
        refuse_place(option, value, below)
        return value

    def _checked(self, overrides: Sequence[str]) -> tuple[DictConfig, Config]:
        try:
            config = self.loader.load_configuration(
                self._name, [*self._extra, *overrides], run_mode=RunMode.RUN
            )
        except KeyError as error:
            if isinstance(error, OmegaConfBaseException):
                raise
            what = f"hydra.job.env_copy={error} names no environment variable; leave it away"
            raise ConfigError("configuration", "", what) from error
        for text in self._extra:  # --config-dir is a flag, no override
            config.hydra.overrides.hydra.remove(text)
        refuse_code(config, self._trust, overrides)
        with flag_override(config, ["struct", "readonly"], [False, False]):
            hydra = config.pop("hydra")
            typed = to_config(config)
            config["hydra"] = hydra
        return config, typed

    def _first_mistake(
        self, compose: Callable[[Sequence[str]], object], overrides: Sequence[str], error: Exception
    ) -> ConfigError:
        """Find the first override without which all is well: Hydra seldom says which one it means."""
        for count in range(len(overrides) + 1):
            try:
                compose(overrides[:count])
            except mistakes.COMPOSITION_ERRORS as first:
                culprit = overrides[count - 1] if count else ""
                return mistakes.explain(first, culprit, _choices(self.loader))
        return mistakes.explain(error, "", _choices(self.loader))


@contextlib.contextmanager
def _known_to_hydra(composed: DictConfig) -> Iterator[None]:
    """Let ``${hydra:...}`` mean this configuration."""
    known = HydraConfig.instance()
    before = known.cfg
    try:
        known.set_config(composed)
        yield
    finally:
        known.cfg = before
