"""The options that a run's numbers depend on beside the coordinates of its cell; pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from mps_experiments.record import Cell

# Options that change no number. (A threshold does: it decides whether a number is VALID.)
IRRELEVANT = frozenset(
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
        "fault.trials",
        "workers.preload",
        "tracking.enabled",
        "tracking.uri",
        "tracking.experiment",
        "tracking.timeout_s",
    }
)
# Options whose meaning for this run is in its cell: device=auto is one GPU today and another tomorrow.
_IN_CELL = frozenset(
    {
        "device",
        "fault.kind",
        "mps.enabled",
        "mps.compute_mode",
        "procs",
        "repeat",
        "times",
        "window",
        "window_s",
        "workers.cpu_affinity",
        "workers.start_method",
        "workers.verbose",
        "workers.warmup",
        "workload.cpu_model",  # in earlier records
        "workload.factory",
        "workload.input",
        "workload.model",
        "workload.options",
        "workload.seed",
        "workload.weights",
    }
)
# What comes after the window, judges it or gives up on it: two runs that differ in it are still comparable.
_OUTSIDE_THE_WINDOW = ("fault.", "trace.", "validity.")


def window_settings(config: Mapping[str, Any], cell: Cell) -> dict[str, object]:
    """Name -> value of each option that acts on the measured window and that the cell does not tell."""
    return {
        name: value
        for name, value in options_beside(config, cell).items()
        if not name.startswith(_OUTSIDE_THE_WINDOW) and not name.endswith("timeout_s")
    }


def options_beside(config: Mapping[str, Any], cell: Cell) -> dict[str, object]:
    """Name -> value of each option that the cell does not tell."""
    found = {}
    for name, value in _flattened(config):
        if name in IRRELEVANT or name in _IN_CELL:
            continue
        if cell.fault == "none" and (name.startswith("fault.") or name.endswith("timeout_s")):
            continue  # what is done about a fault, and when somebody gives up, changes no ordinary run
        if name == "workers.rotate_s" and not cell.rotated:
            continue
        found[name] = value
    return found


def _flattened(config: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}.{key}", inner) for key, inner in value.items())
        else:
            yield name, value
