"""A stored configuration, perhaps of another version, seen with the options of this one; pure."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from mps_experiments.config import AUTO, NO_LONGER, Config, options
from mps_experiments.errors import ConfigError
from mps_experiments.record import Cell

# Of the place or sweep of a run, not of the run. (allow_code counts on the command line only.)
_LEFT_OUT = (
    *("output_dir", "report", "min_free_disk_mb", "resume", "allow_code"),
    *("order", "order_seed", "precision", "budget_min"),
)
_TRACKING = "tracking."
_RETIRED = ("workload.cpu_model",)  # of earlier versions; what it meant for a run is in its cell
# Before there was workload.norm_layer these had BatchNorm2d, unless their weights were torchvision's.
_BUILT_WITH_BATCH_NORM = ("rcnn", "retinanet", "fcos")

Values = dict[str, object]


@dataclass(frozen=True, kw_only=True)
class StoredValues:
    """What a record's configuration says, by dotted option name.

    Attributes:
        values: Every option of this version in the order of the schema, those of the place left out. Where
            the record says nothing, this version's default.
        unknown: Keys of the record that this version has not.
        missing: Options of this version that the record has not, each as it would be typed.
    """

    values: Values
    unknown: tuple[str, ...]
    missing: tuple[str, ...]

    def refuse_unknown(self) -> None:
        """Refuse a configuration that this version would read only in part.

        Raises:
            ConfigError: If there are unknown keys; it names them all, and what is missing.
        """
        if not self.unknown:
            return
        what = f"another version wrote this configuration: it has {', '.join(self.unknown)}, unknown here"
        if self.missing:
            what += f", and lacks {', '.join(self.missing)} (the defaults)"
        raise ConfigError("run", "", f"{what}; --drop-unknown leaves the unknown ones out")


def stored_values(config: Mapping[str, Any], cell: Cell | None = None) -> StoredValues:
    """What a record's configuration says; where it is silent, what its cell was.

    Args:
        config: The record's.
        cell: The record's; None if there is only a configuration.
    """
    defaults = plain(Config())
    found, unknown, replaced = dict[str, object](), list[str](), False
    for name, value in _leaves(config, frozenset(each.name for each in options())):
        if name in defaults:
            found[name] = value
        elif name in _RETIRED:
            replaced = replaced or value is not None
        elif name not in (*_LEFT_OUT, *NO_LONGER) and not name.startswith(_TRACKING):
            unknown.append(name)
    found = (_of_cell(cell) if cell else {}) | found
    if cell and cell.inputs and (replaced or found.get("workload.model", AUTO) == AUTO):
        found["workload.model"] = cell.model  # auto was one model there and may be another here
    missing = [f"{name}={typed(value)}" for name, value in defaults.items() if name not in found]
    return StoredValues(values=defaults | found, unknown=tuple(unknown), missing=tuple(missing))


def _of_cell(cell: Cell) -> Values:
    """Options that the coordinates of a run tell as well."""
    told: Values = {
        "mps.enabled": cell.mps == "on",
        "mps.compute_mode": cell.axes["compute_mode"],
        "procs": cell.procs,
        "times": cell.times,
        "repeat": cell.repeat,
        "fault.kind": cell.fault,
        "workers.cpu_affinity": cell.axes["cpu_affinity"],
        "window": cell.window,
        "workers.start_method": cell.axes["start_method"],
        "workers.verbose": cell.axes["verbose"],
        "workers.warmup": cell.axes["warmup"],
        "workload.options": cell.options,
    }
    if cell.inputs:  # one of torchvision's; a factory of the user's own is named by the configuration alone
        told |= {"workload.weights": cell.weights, "workload.seed": cell.axes["seed"]}
        if cell.weights != "default" and any(name in cell.model for name in _BUILT_WITH_BATCH_NORM):
            told["workload.norm_layer"] = "batch"
    return told | ({"window_s": cell.window_s} if cell.window_s is not None else {})


def plain(config: Config) -> Values:
    """A composed configuration in the same form."""
    found = dict(_leaves(asdict(config), frozenset(_names())))
    return {name: _without_enum(found[name]) for name in _names()}


def _without_enum(value: object) -> object:
    return value.name if isinstance(value, Enum) else value


def typed(value: object) -> str:
    """A value as it is typed on the command line, in Hydra's grammar."""
    if value is None or isinstance(value, bool | int | float):
        return json.dumps(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{typed(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(typed, value)) + "]"
    return _text(str(value))


def frozen(values: Mapping[str, object]) -> str:
    """The same text for equal values."""
    return json.dumps(values, sort_keys=True, default=str)


def _names() -> list[str]:
    names = [each.name for each in options()]
    return [name for name in names if name not in _LEFT_OUT and not name.startswith(_TRACKING)]


def _leaves(node: Mapping[str, Any], names: frozenset[str], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Each option with its value, and what is no option as far down as it is known."""
    for key, value in node.items():
        name = f"{prefix}{key}"
        is_group = any(each.startswith(f"{name}.") for each in names)
        if is_group and isinstance(value, Mapping):
            yield from _leaves(value, names, f"{name}.")
        else:
            yield name, value


_PLAIN = re.compile(r"(?!(?i:true|false|null|nan|inf)$)[A-Za-z][\w./:-]*", re.ASCII)


def _text(text: str) -> str:
    if _PLAIN.fullmatch(text):
        return text
    doubled = ""
    for part in text.split("'"):  # a backslash counts as one only before a quote
        doubled += part + "\\" * (len(part) - len(part.rstrip("\\"))) + "\\'"
    return f"'{doubled[:-2]}'"
