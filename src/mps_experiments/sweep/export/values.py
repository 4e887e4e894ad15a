"""A stored run in the options of this version, and a value as it is typed; pure."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from operator import attrgetter
from typing import Any

from mps_experiments.config.grammar import quoted
from mps_experiments.config.schema import NO_LONGER, Config, options
from mps_experiments.errors import ConfigError
from mps_experiments.record.axes import PLACES, flattened, key_of
from mps_experiments.record.measurement import Measurement
from mps_experiments.record.summaries import FoundRun

# Options that are gone, then those of the sweep or its place; a few of these do act on the run.
_LEFT_OUT = {"workload.cpu_model", *NO_LONGER} | PLACES - {"fault.trials", "gpu_wait_s", "workers.preload"}
# Before there was workload.norm_layer these had BatchNorm2d, unless their weights were torchvision's.
_BUILT_WITH_BATCH_NORM = ("rcnn", "retinanet", "fcos")
_PLAIN = re.compile(r"(?!(?i:true|false|null|nan|inf)$)[A-Za-z][\w./:-]*", re.ASCII)

Values = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class StoredRun:
    """One stored run that a user asked for.

    Attributes:
        values: Option -> value; a default of this version where the record says nothing.
        unknown: Keys of the record that this version does not have.
        missing: Options that the record does not have, each as it would be typed.
    """

    measurement: Measurement
    values: Values
    unknown: tuple[str, ...]
    missing: tuple[str, ...]


def asked_for(runs: Sequence[FoundRun], drop_unknown: bool = False) -> list[StoredRun]:
    """Read the configurations, without runs that the program adds by itself unless there are no others.

    Raises:
        ConfigError: If there is no run, or a configuration has keys that are unknown here.
    """
    if not runs:
        raise ConfigError("run", "", "no record of it can be read; give another run, folder or file")
    with_faults = {m.sweep_id for run in runs if not (m := run.measurement).is_ordinary}
    wanted = [run for run in runs if not _is_added(run.measurement, with_faults)]
    found = [stored_run(run.measurement) for run in wanted or runs]
    unknown = dict.fromkeys(key for run in found for key in run.unknown)
    if unknown and not drop_unknown:
        what = f"another version wrote this configuration: it has {', '.join(unknown)}, unknown here"
        raise ConfigError("run", "", f"{what}; --drop-unknown leaves these out")
    return found


def _is_added(m: Measurement, with_faults: set[str]) -> bool:
    """Tell the second of two equal runs (A/A), and the one-process run that a fault is compared with."""
    names_fault = any(key_of(text).startswith("fault") for text in m.overrides)
    is_reference = m.is_ordinary and m.cell.procs == 1 and m.sweep_id in with_faults and not names_fault
    return m.cell.is_twin or is_reference


def stored_run(measurement: Measurement) -> StoredRun:
    """Read a record's configuration, perhaps of an earlier version."""
    defaults, cell = plain(Config()), measurement.cell
    given = dict(flattened(measurement.config))
    found = {"window": cell.window} | {name: value for name, value in given.items() if name in defaults}
    if cell.inputs:  # a model of torchvision's; the configuration may say auto
        found["workload.model"] = cell.model
        if cell.weights != "default" and any(name in cell.model for name in _BUILT_WITH_BATCH_NORM):
            found.setdefault("workload.norm_layer", "batch")
    return StoredRun(
        measurement=measurement,
        values=defaults | found,
        unknown=tuple(name for name in given if name not in defaults and _is_of_the_run(name)),
        missing=tuple(f"{name}={typed(value)}" for name, value in defaults.items() if name not in found),
    )


def plain(config: Config) -> Values:
    """Return the options of a composed configuration that belong to its run."""
    values = {each.name: attrgetter(each.name)(config) for each in options() if _is_of_the_run(each.name)}
    return {name: value.name if isinstance(value, Enum) else value for name, value in values.items()}


def _is_of_the_run(name: str) -> bool:
    return name not in _LEFT_OUT and not name.startswith("tracking.")


def typed(value: object) -> str:
    """Write a value as it is typed on the command line, in Hydra's grammar."""
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{typed(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(typed, value)) + "]"
    if not isinstance(value, str):
        return json.dumps(value)
    if _PLAIN.fullmatch(value):
        return value
    return quoted(value)
