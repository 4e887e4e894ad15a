"""Name what two runs must agree in before they are compared; pure."""

import json
from collections.abc import Mapping, Sequence

from mps_experiments.record.axes import AXES, CONDITIONS, Role, factor_words, window_settings
from mps_experiments.record.machine import MachineFacts
from mps_experiments.record.measurement import Measurement

# Which GPU and which daemon is in use is known better than from these.
_IGNORED = {
    "CUDA_VISIBLE_DEVICES",
    "CUDA_DEVICE_ORDER",
    "CUDA_MPS_PIPE_DIRECTORY",
    "CUDA_MPS_LOG_DIRECTORY",
}


# The axes that runs must agree in; of device and weights the machine and the files tell more.
_COMPARED = tuple(
    axis.name
    for axis in AXES
    if axis.role is not Role.LABEL and axis.name not in ("procs", "device", "weights")
)


def comparison_keys(measurement: Measurement) -> dict[str, object]:
    """Return by name what two runs must agree in before the number of processes may be called the cause."""
    cell, machine = measurement.cell, measurement.machine
    facts = next((w.facts.torch_facts for w in measurement.workers if w.rank == 0 and w.facts), {})
    gpu = (machine.gpu.name, machine.gpu.uuid) if machine.gpu else ()
    return {
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
        "weights": " ".join(filter(None, (cell.weights, first_digits(measurement.weights_file_sha256)))),
        "input": ", ".join(image.identity for image in cell.inputs),
        **{name: cell.axes[name] for name in _COMPARED},
        **window_settings(measurement.config, cell.axes),
    }


def _cpu(machine: MachineFacts) -> str:
    quota = "" if machine.cpu_quota_cores is None else f", the time of {machine.cpu_quota_cores:g} allowed"
    return f"{machine.cpu}, {len(machine.usable_cores)} cores usable{quota}"


def telling_environment(machine: MachineFacts) -> dict[str, str]:
    """Return the variables that can change a number."""
    return {key: value for key, value in machine.environment.items() if key not in _IGNORED}


def table_key(measurement: Measurement) -> tuple[object, ...]:
    """Return what all runs of one table have in common: the conditions, whatever the factors are."""
    cell, packages = measurement.cell, measurement.machine.packages
    return (
        frozen({axis.name: cell.axes[axis.name] for axis in CONDITIONS}),
        tuple(image.identity for image in cell.inputs),
        packages.get("torch"),
        packages.get("torchvision"),
        frozen(window_settings(measurement.config, cell.axes)),
    )


def differing_keys(own: Mapping[str, object], other: Mapping[str, object]) -> list[str]:
    """List each key that differs, with both values; of a dict only the entries that do."""
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


def first_digits(digest: str | None) -> str:
    """Return as much of a digest as tells files apart; empty for none."""
    return (digest or "")[:16]


def frozen(value: object) -> str:
    """Return the same text for equal values, whatever the order of their keys."""
    return json.dumps(value, sort_keys=True, default=str)


def shared_settings(runs: Sequence[Measurement]) -> str:
    """Return what the sweep varied and all these runs share, unusual factors included."""
    settings = [(*m.settings, *factor_words(m.cell.axes)) for m in runs]
    shared = dict.fromkeys(text for text in settings[0] if all(text in each for each in settings))
    return " ".join(shared)
