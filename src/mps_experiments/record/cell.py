"""The coordinates of a run: its value on each axis, as typed fields."""

import math
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal, TypeVar

from mps_experiments.record.axes import AXES, EXTRA_FACTORS, WORK, items_of
from mps_experiments.record.workload import ImageInput

_WHOLE = ("procs", "repeat", "trial", "twin")
Times = int | Literal["auto"]
_T = TypeVar("_T")


def times_order(times: Times) -> float:
    """Return what sorts cells by their iterations, ``auto`` last."""
    return math.inf if times == "auto" else times


class _Of(Generic[_T]):
    """An axis of a cell, read by its name: ``cell.procs`` is ``cell.axes["procs"]``."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, cell: Any, owner: type) -> _T:
        found: _T = cell.axes[self._name]
        return found


@dataclass(frozen=True, kw_only=True)
class Cell:
    """The coordinates of a run in its sweep, and what a comparison must hold equal.

    Attributes:
        axes: Name -> value of each row of `axes.AXES`, in their order.
        inputs: The images; empty for a workload of the user's own.
    """

    axes: dict[str, Any]
    inputs: tuple[ImageInput, ...] = ()

    mps = _Of[Literal["on", "off"]]()
    procs = _Of[int]()
    times = _Of[Times]()
    model = _Of[str]()
    weights = _Of[str]()
    options = _Of[dict[str, Any]]()
    device = _Of[str]()
    window = _Of[Literal["kept", "fixed"]]()
    window_s = _Of[float | None]()
    repeat = _Of[int]()
    fault = _Of[str]()
    trial = _Of[int]()

    def moved(self, **axes: Any) -> "Cell":
        """Return the cell with other values on some axes."""
        return replace(self, axes=self.axes | axes)

    @property
    def items(self) -> int:
        """Return how many items one iteration processes."""
        return items_of(self.axes)

    @property
    def item(self) -> str:
        """Return the word for one item."""
        return "image" if self.inputs else "item"

    @property
    def extras(self) -> tuple[Any, ...]:
        """Return the values of the factors beside mps, procs and times."""
        return tuple(self.axes[axis.name] for axis in EXTRA_FACTORS)

    @property
    def work(self) -> dict[str, Any]:
        """Return the axes that say what is computed: where they agree, outputs must be equal."""
        return {axis.name: self.axes[axis.name] for axis in WORK}

    @property
    def is_twin(self) -> bool:
        """Tell the second of two equal one-process runs (A/A), which shows what equal runs differ by."""
        return bool(self.axes["twin"])


def cell_of_any_version(stored: Any) -> Any:
    """Return a cell as it is stored now; until version 4 each axis was a field of its own."""
    if not isinstance(stored, dict):
        return stored
    if "axes" in stored:
        known = stored["axes"] if isinstance(stored["axes"], dict) else {}
    else:
        known = {name: value for name, value in stored.items() if name != "inputs"}
        pinned, rotated = known.pop("pinned", False), known.pop("rotated", False)
        known["cpu_affinity"] = "none" if not pinned else "rotate" if rotated else "auto"
    axes = {axis.name: known.get(axis.name, axis.usual) for axis in AXES} | known
    wrong = [name for name in _WHOLE if type(axes[name]) is not int]
    wrong += ["times"] if type(axes["times"]) is not int and axes["times"] != "auto" else []
    wrong += ["options"] if not isinstance(axes["options"], dict) else []
    if wrong:
        raise ValueError(", ".join(f"{name}={axes[name]!r}" for name in wrong))
    return {"axes": axes, "inputs": stored.get("inputs", ())}
