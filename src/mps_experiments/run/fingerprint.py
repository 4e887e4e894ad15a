"""What a run's numbers depend on, the same from its plan and from its record; pure."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from mps_experiments.analysis.keys import differing_keys, first_digits, frozen, telling_environment
from mps_experiments.record.axes import settings_beside
from mps_experiments.record.cell import Cell
from mps_experiments.record.machine import MachineFacts
from mps_experiments.record.measurement import Measurement
from mps_experiments.run.plan import RunPlan
from mps_experiments.run.recorder import cell_of


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """Two runs of one fingerprint are repeats that nothing tells apart.

    Attributes:
        configuration: What the user chose, by name.
        circumstances: Code, machine and the contents of files, by name.
    """

    configuration: dict[str, object]
    circumstances: dict[str, object]

    @property
    def digest(self) -> str:
        return _digest([self.configuration, self.circumstances])

    @property
    def configuration_digest(self) -> str:
        return _digest(self.configuration)

    def without(self, *options: str) -> "Fingerprint":
        """Return what it shares with runs that differ in these options alone."""
        return replace(self, configuration=self.configuration | dict.fromkeys(options))

    def differences(self, now: "Fingerprint") -> list[str]:
        """List each circumstance that differs, with both values."""
        return differing_keys(self.circumstances, now.circumstances)


def of_plan(
    plan: RunPlan, config: Mapping[str, Any], machine: MachineFacts, weights_sha256: str | None
) -> Fingerprint:
    """Return the fingerprint of a run that is to come; its record will have this `config`."""
    return _fingerprint(cell_of(plan), config, machine, weights_sha256, plan.workloads[0].source_sha256)


def of_record(m: Measurement) -> Fingerprint:
    """Return the fingerprint of a run that was."""
    source = m.workers[0].workload.source_sha256 if m.workers else None
    return _fingerprint(m.cell, m.config, m.machine, m.weights_file_sha256, source)


def _fingerprint(
    cell: Cell,
    config: Mapping[str, Any],
    machine: MachineFacts,
    weights_sha256: str | None,
    source_sha256: str | None,
) -> Fingerprint:
    coordinates = {name: value for name, value in cell.axes.items() if name != "device"}
    coordinates["input"] = [image.name for image in cell.inputs]
    gpu = machine.gpu if cell.device != "cpu" else None
    circumstances = {
        "code": f"{machine.mps_experiments} {first_digits(machine.source_sha256)}",
        "source of the workload": first_digits(source_sha256),
        "content of the input": " ".join(first_digits(image.sha256) for image in cell.inputs),
        "content of the weights": first_digits(weights_sha256),
        "host": machine.hostname,
        "gpu": f"{gpu.name} {gpu.uuid}" if gpu else cell.device,
        "driver": machine.driver_version,
        "cpu": machine.cpu,
        "usable cores": " ".join(map(str, machine.usable_cores)),
        "cpu quota": machine.cpu_quota_cores,
        "python": machine.python,
        "packages": machine.packages,
        "environment": telling_environment(machine),
    }
    return Fingerprint(
        configuration=_plain({**coordinates, **settings_beside(config, cell.axes)}),
        circumstances=_plain(circumstances),
    )


def _plain(value: Any) -> Any:
    """Return a value as a record gives it back: names are texts, no tuples, None for NaN and infinity."""
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _digest(value: object) -> str:
    return hashlib.sha256(frozen(value).encode()).hexdigest()
