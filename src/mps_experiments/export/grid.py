"""Whether the cells of a sweep are a full product, and of which axes; pure."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from mps_experiments.errors import ConfigError
from mps_experiments.export.values import Values, frozen, typed


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Cells that are all combinations of some values.

    Attributes:
        common: What all cells have.
        axes: Option -> its values in the order they were measured; the slowest first. Empty for one cell.
    """

    common: Values
    axes: dict[str, tuple[object, ...]]


def grid_of(cells: Sequence[Values], order_is_drawn: bool = False) -> Grid:
    """The axes of these cells.

    Args:
        cells: In the order in which they ran; the same cell may come several times.
        order_is_drawn: Whether that order was drawn, so that numbers are better sorted.

    Raises:
        ConfigError: If some combination of their values is missing.
    """
    distinct = list({frozen(cell): cell for cell in cells}.values())
    axes = {name: _values(distinct, name) for name in distinct[0]}
    axes = {name: values for name, values in axes.items() if len(values) > 1}
    if order_is_drawn:
        axes = {name: _sorted_numbers(values) for name, values in axes.items()}
    count = math.prod(map(len, axes.values()))
    if count != len(distinct):
        shown = " x ".join(f"{name}={','.join(map(typed, values))}" for name, values in axes.items())
        what = f"its {len(distinct)} cells are not the {count} of {shown}"
        raise ConfigError("run", "", f"no full product of axes to write down: {what}; give one run of it")
    slowest_first = sorted(axes, key=lambda name: _changes(distinct, name))
    common = {name: value for name, value in distinct[0].items() if name not in axes}
    return Grid(common=common, axes={name: axes[name] for name in slowest_first})


def _values(cells: Sequence[Values], name: str) -> tuple[object, ...]:
    return tuple({frozen({name: cell[name]}): cell[name] for cell in cells}.values())


def _sorted_numbers(values: tuple[object, ...]) -> tuple[object, ...]:
    numbers = [value for value in values if type(value) in (int, float)]
    return tuple(sorted(numbers)) if len(numbers) == len(values) else values  # type: ignore[type-var]


def _changes(cells: Sequence[Values], name: str) -> int:
    """How often the value changed from one cell to the next."""
    pairs = itertools.pairwise(cells)
    return sum(frozen({name: one[name]}) != frozen({name: two[name]}) for one, two in pairs)
