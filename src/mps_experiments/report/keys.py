"""What two runs must agree in before they are compared, by name; pure."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace

from mps_experiments.machine.facts import MachineFacts
from mps_experiments.record import Cell, Measurement
from mps_experiments.report.settings import window_settings

# Which GPU and which daemon is in use is known better than from these.
_IGNORED = {
    "CUDA_VISIBLE_DEVICES",
    "CUDA_DEVICE_ORDER",
    "CUDA_MPS_PIPE_DIRECTORY",
    "CUDA_MPS_LOG_DIRECTORY",
}


def comparison_keys(measurement: Measurement) -> dict[str, object]:
    """What two runs must agree in before the number of processes may be called the cause, by name."""
    cell, machine = measurement.cell, measurement.machine
    facts = next((w.facts.torch_facts for w in measurement.workers if w.rank == 0 and w.facts), {})
    gpu = (machine.gpu.name, machine.gpu.uuid) if machine.gpu else ()
    return {
        "mps": cell.mps,
        "times": cell.times,
        "gpu": " ".join(dict.fromkeys((*gpu, cell.device))),
        "host": machine.hostname,
        "cpu": _cpu(machine),
        "driver": machine.driver_version,
        "torch": machine.packages.get("torch"),
        "torchvision": machine.packages.get("torchvision"),
        "cuda": facts.get("cuda"),
        "cudnn": facts.get("cudnn"),
        "python": machine.python,
        "mps_experiments": machine.mps_experiments,
        "environment": telling_environment(machine),
        "model": cell.model,
        "weights": " ".join(filter(None, (cell.weights, _short(measurement.weights_file_sha256)))),
        "input": ", ".join(image.identity for image in cell.inputs),
        "options": cell.options,
        "seed": cell.seed,
        "placement": _placement(cell),
        "start_method": cell.start_method,
        "compute_mode": cell.compute_mode,
        "verbose": cell.verbose,
        "warmup": cell.warmup,
        "window": cell.window,
        "window_s": cell.window_s,
        **window_settings(measurement.config, cell),
    }


def _cpu(machine: MachineFacts) -> str:
    quota = "" if machine.cpu_quota_cores is None else f", the time of {machine.cpu_quota_cores:g} allowed"
    return f"{machine.cpu}, {len(machine.usable_cores)} cores usable{quota}"


def telling_environment(machine: MachineFacts) -> dict[str, str]:
    """The variables that can change a number."""
    return {key: value for key, value in machine.environment.items() if key not in _IGNORED}


def table_key(measurement: Measurement) -> tuple[object, ...]:
    """What all cells of one table have in common: all of the cell but mps, procs, times, repeat and fault."""
    cell = measurement.cell
    rest = replace(cell, mps="", procs=0, times=0, repeat=0, fault="none", trial=0, twin=0, inputs=())
    inputs = tuple(image.identity for image in cell.inputs)
    packages = measurement.machine.packages
    settings = window_settings(measurement.config, cell)
    return (
        frozen(asdict(rest)),
        inputs,
        packages.get("torch"),
        packages.get("torchvision"),
        frozen(settings),
    )


def _placement(cell: Cell) -> str:
    return "not pinned" if not cell.pinned else "rotating" if cell.rotated else "pinned"


def differing_keys(own: Mapping[str, object], other: Mapping[str, object]) -> list[str]:
    """Each key that differs, with both values; of a dict only the entries that do."""
    return [f"{name} ({one} against {two})" for name, one, two in differences(own, other)]


def differences(own: Mapping[str, object], other: Mapping[str, object]) -> list[tuple[str, str, str]]:
    """Return the name of each key that differs and both values as texts; of a dict the entries that do."""
    found = []
    for name in dict.fromkeys((*own, *other)):
        one, two = own.get(name), other.get(name)
        if isinstance(one, dict) and isinstance(two, dict):
            one, two = _without_equal(one, two), _without_equal(two, one)
        if frozen(one) != frozen(two):
            found.append((name, _shown(one), _shown(two)))
    return found


def _without_equal(one: dict[str, object], two: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in one.items() if key not in two or two[key] != value}


def _shown(value: object) -> str:
    if value is None or value in ("", {}):
        return "none"
    return value if isinstance(value, str) else frozen(value)


def _short(digest: str | None) -> str:
    return (digest or "")[:16]


def frozen(value: object) -> str:
    """The same text for equal values, whatever the order of their keys."""
    return json.dumps(value, sort_keys=True, default=str)
