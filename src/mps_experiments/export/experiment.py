"""From stored runs to an experiment that was seen to give the same plans."""

import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mps_experiments.composition import parse
from mps_experiments.config import Order
from mps_experiments.errors import ConfigError
from mps_experiments.export.grid import Grid, grid_of
from mps_experiments.export.origin import origin_lines
from mps_experiments.export.sheet import Sheet, default_name, make_sheet
from mps_experiments.export.values import StoredValues, Values, frozen, plain, stored_values
from mps_experiments.lookup import FoundRun
from mps_experiments.record import Measurement

_FOLDER = "experiment"  # the group that Hydra looks for the file in


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The cells of stored runs.

    Attributes:
        measurements: Without what nobody asked for: twins (A/A), and the one-process runs that a cell with a
            fault makes by itself.
        stored: What the configuration of each says.
        grid: The cells they are of.
    """

    measurements: tuple[Measurement, ...]
    stored: tuple[StoredValues, ...]
    grid: Grid

    @property
    def dropped(self) -> tuple[str, ...]:
        """Keys that some record has and this version has not."""
        return tuple(dict.fromkeys(each for stored in self.stored for each in stored.unknown))

    @property
    def missing(self) -> tuple[str, ...]:
        """Options that some record says nothing of, as they would be typed."""
        return tuple(dict.fromkeys(each for stored in self.stored for each in stored.missing))


def wanted_of(runs: Sequence[FoundRun], drop_unknown: bool, without: Sequence[str] = ()) -> Wanted:
    """The cells that stored runs were of.

    Args:
        runs: Those that were found.
        drop_unknown: Leave out keys that this version has not.
        without: Options that take the value of the first run in all cells.

    Raises:
        ConfigError: If there is no run, a key is not known here, or the cells are no full product.
    """
    if not runs:
        raise ConfigError("run", "", "no record of it can be read; give another run, folder or file")
    measurements = [
        run.measurement for run in runs if not (_is_reference(run, runs) or run.measurement.cell.is_twin)
    ]
    measurements = measurements or [run.measurement for run in runs]
    stored = [stored_values(each.config, each.cell) for each in measurements]
    if not drop_unknown:
        for each in stored:
            each.refuse_unknown()
    same = {name: stored[0].values[name] for name in without}
    drawn = all(each.config.get("order") == Order.blocks.value for each in measurements)
    grid = grid_of([each.values | same for each in stored], order_is_drawn=drawn)
    return Wanted(measurements=tuple(measurements), stored=tuple(stored), grid=grid)


def experiment_of(wanted: Wanted, name: str | None, every_option: bool = False) -> Sheet:
    """The experiment, seen to compose to just these cells.

    Raises:
        ConfigError: If this version does not take a value, or the text would give another plan.
    """
    comments = [_HOW, *origin_lines(wanted.measurements), *_missing(wanted)]
    sheet = make_sheet(name or default_name(wanted.grid), wanted.grid, comments, every_option)
    with tempfile.TemporaryDirectory(prefix="mpsx-export-") as folder:
        place(sheet, Path(folder))
        request = parse(["--config-dir", folder, *sheet.arguments])
    given = sorted(frozen(plain(cell)) for cell in request.cells)
    if given != sorted(map(frozen, cells_of(wanted.grid))):
        raise ConfigError("run", "", "this configuration cannot be written so that it gives the same plan")
    return sheet


def place(sheet: Sheet, folder: Path) -> Path:
    """Write an experiment where ``--config-dir FOLDER`` finds it; returns the file."""
    path = folder / _FOLDER / f"{sheet.name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(sheet.text, encoding="utf-8")
    return path


def cells_of(grid: Grid) -> list[Values]:
    """Every cell of a grid, the slowest axis first."""
    cells = [grid.common]
    for name, values in grid.axes.items():
        cells = [cell | {name: value} for cell in cells for value in values]
    return cells


def _is_reference(run: FoundRun, runs: Sequence[FoundRun]) -> bool:
    """Whether it is the one-process run that a cell with a fault makes by itself.

    In MLflow there are no folders to tell it by: in a sweep that has faults it is the run that nobody asked
    for, so its overrides name none.
    """
    m = run.measurement
    if run.folder is not None and run.folder.name == "reference":
        return True
    with_faults = {each.measurement.sweep_id for each in runs if not each.measurement.is_ordinary}
    asked_for = any(re.match(r"\+*fault(\.kind)?=", text) for text in m.overrides)
    return m.is_ordinary and m.cell.procs == 1 and m.sweep_id in with_faults and not asked_for


def _missing(wanted: Wanted) -> Iterator[str]:
    if wanted.missing:
        yield f"The record says nothing of {', '.join(wanted.missing)}: today's defaults."


_HOW = "in conf/experiment/, or with --config-dir DIR if this file is in DIR/experiment/"
