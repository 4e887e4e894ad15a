"""The axes of an experiment: one row for each, from which records, comparisons and tables follow; pure.

A new axis is a row here, its option in `config`, and the code that acts on it. An option without a row is a
condition of its own (`settings_beside`), so that forgetting a row can only keep runs apart.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any


class Role(Enum):
    """What a comparison does with an axis."""

    FACTOR = "varied to see its effect: a column of tables, a line in charts"
    CONDITION = "must be equal in runs that are compared; never plotted"
    LABEL = "tells runs apart that are compared by other rules: repeats, trials of a fault"


@dataclass(frozen=True)
class Axis:
    """One axis.

    Attributes:
        name: Its key in records and in MLflow.
        option: The option that sets it; empty for what a sweep sets by itself.
        label: What it means, for people.
        usual: Its value in runs from before the axis existed. Texts leave it unsaid.
        counts_items: Whether its value is a number of items (images) in each iteration.
    """

    name: str
    option: str
    role: Role
    label: str
    usual: Any = None
    counts_items: bool = False


AXES = (
    Axis("mps", "mps.enabled", Role.FACTOR, "MPS on or off"),
    Axis("procs", "procs", Role.FACTOR, "processes"),
    Axis("times", "times", Role.FACTOR, "iterations per process"),
    Axis("batch", "workload.batch", Role.FACTOR, "items per iteration", usual=1, counts_items=True),
    Axis("model", "workload.model", Role.CONDITION, "model"),
    Axis("weights", "workload.weights", Role.CONDITION, "weights"),
    Axis("options", "workload.options", Role.CONDITION, "options of the factory", usual={}),
    Axis("seed", "workload.seed", Role.CONDITION, "seed of random weights"),
    Axis("device", "device", Role.CONDITION, "device"),
    Axis("start_method", "workers.start_method", Role.CONDITION, "how processes are started"),
    Axis("cpu_affinity", "workers.cpu_affinity", Role.CONDITION, "placement on CPU cores"),
    Axis("warmup", "workers.warmup", Role.CONDITION, "iterations before the window"),
    Axis("verbose", "workers.verbose", Role.CONDITION, "a line per forward"),
    Axis("compute_mode", "mps.compute_mode", Role.CONDITION, "compute mode of the GPU"),
    Axis("window", "window", Role.CONDITION, "what a process does that is done", usual="fixed"),
    Axis("window_s", "window_s", Role.CONDITION, "length of the window in seconds"),
    Axis("repeat", "repeat", Role.LABEL, "block", usual=0),
    Axis("fault", "fault.kind", Role.LABEL, "what goes wrong on purpose", usual="none"),
    Axis("trial", "", Role.LABEL, "trial of the fault", usual=0),
    Axis("twin", "", Role.LABEL, "second of two equal runs (A/A)", usual=0),
)
BY_NAME = {axis.name: axis for axis in AXES}
BY_OPTION = {axis.option: axis for axis in AXES if axis.option}
FACTORS = tuple(axis for axis in AXES if axis.role is Role.FACTOR)
CONDITIONS = tuple(axis for axis in AXES if axis.role is Role.CONDITION)
COORDINATES = ("mps", "procs", "times")  # every table and every run's name has them
EXTRA_FACTORS = tuple(axis for axis in FACTORS if axis.name not in COORDINATES)
# What is computed: outputs of runs that agree in it must be equal.
WORK = tuple(axis for axis in AXES if axis.option.startswith("workload."))

# Options of the place of a run or of its sweep. They change no number. (A threshold does: it decides whether
# a number is VALID.)
PLACES = frozenset(
    {
        "output_dir",
        "report",
        "min_free_disk_mb",
        "resume",
        "allow_code",
        "gpu_wait_s",
        "order",
        "order_seed",
        "precision",
        "budget_min",
        "cost.gpu_hour",
        "fault.trials",
        "workers.preload",
        "tracking.enabled",
        "tracking.uri",
        "tracking.experiment",
        "tracking.timeout_s",
    }
)
# A record tells these in more detail than the option: images with digests, the model of a factory.
# (The model for a CPU is an option of old records.)
_TOLD_BESIDE = frozenset({"workload.input", "workload.factory", "workload.cpu_model"})
# What comes after the window, judges it or gives up on it leaves runs comparable.
_OUTSIDE_THE_WINDOW = ("fault.", "trace.", "validity.")


def settings_beside(config: Mapping[str, Any], axes: Mapping[str, Any]) -> dict[str, object]:
    """Return each option that has no row and is no place, with its value: it counts as a condition."""
    return {
        name: value
        for name, value in flattened(config)
        if name not in PLACES | BY_OPTION.keys() | _TOLD_BESIDE and _acts(name, axes)
    }


def window_settings(config: Mapping[str, Any], axes: Mapping[str, Any]) -> dict[str, object]:
    """Return those of `settings_beside` that act on the measured window."""
    return {
        name: value
        for name, value in settings_beside(config, axes).items()
        if not name.startswith(_OUTSIDE_THE_WINDOW) and not name.endswith("timeout_s")
    }


def _acts(name: str, axes: Mapping[str, Any]) -> bool:
    """Tell whether an option can change this run; when somebody gives up changes no ordinary one."""
    if name.startswith("fault.") or name.endswith("timeout_s"):
        return bool(axes["fault"] != "none")
    return name != "workers.rotate_s" or axes["cpu_affinity"] == "rotate"


def flattened(config: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """Yield dotted option and value of a stored configuration; an option that is a mapping stays one."""
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}.{key}", inner) for key, inner in value.items())
        else:
            yield name, value


def chosen(config: object) -> dict[str, Any]:
    """Return each axis's value as a typed configuration has it; the usual one where no option sets it."""
    return {axis.name: _read(config, axis.option) if axis.option else axis.usual for axis in AXES}


def _read(config: object, option: str) -> Any:
    value = config
    for part in option.split("."):
        value = getattr(value, part)
    return value.value if isinstance(value, Enum) else value


def name_of(axes: Mapping[str, Any], varied: Iterable[str]) -> str:
    """Return the name of a cell: its coordinates, then the overrides that its sweep varied."""
    fault = [f"fault={axes['fault']}"] if axes["fault"] != "none" else []
    return " ".join([f"mps={axes['mps']} procs={axes['procs']} times={axes['times']}", *fault, *varied])


def is_number(value: object) -> bool:
    """Return whether a value of an axis is a number; true and false are none."""
    return type(value) in (int, float)


def items_of(axes: Mapping[str, Any]) -> int:
    """Return how many items (images) one iteration processes."""
    return math.prod(axes[axis.name] for axis in AXES if axis.counts_items)


def varied_factors(cells: Sequence[Mapping[str, Any]]) -> tuple[Axis, ...]:
    """Return the extra factors in which these cells differ."""
    return tuple(axis for axis in EXTRA_FACTORS if len({cell[axis.name] for cell in cells}) > 1)


def factor_words(axes: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the extra factors of a cell that have another value than the usual one, as overrides."""
    return tuple(
        f"{axis.option}={axes[axis.name]}" for axis in EXTRA_FACTORS if axes[axis.name] != axis.usual
    )


def key_of(override: str) -> str:
    """Return the option that an override sets.

    >>> key_of("++repeat=1"), key_of("~fault")
    ('repeat', 'fault')
    """
    return override.lstrip("+~").partition("=")[0]


def without(overrides: Sequence[str], *keys: str) -> tuple[str, ...]:
    """Leave out the overrides of these options and of the options in these groups."""
    return tuple(text for text in overrides if not {key_of(text), key_of(text).partition(".")[0]} & set(keys))
