"""Tell the machines of a report apart; pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mps_experiments.record.machine import MachineFacts
from mps_experiments.record.measurement import Measurement

_UUID_CHARACTERS = 12  # "GPU-" and eight digits: enough to tell GPUs of one name apart


def machine_line(machine: MachineFacts) -> str:
    """Return the machine in one line: GPU, driver, CPU, versions."""
    gpu = machine.gpu
    memory = f"{gpu.memory_total_bytes / 2**30:.0f} GiB, " if gpu and gpu.memory_total_bytes else ""
    parts = [
        f"{gpu.name} ({memory}{gpu.uuid[:_UUID_CHARACTERS]}), driver {machine.driver_version}"
        if gpu
        else "no GPU: on the CPU",
        f"{machine.cpu}, {len(machine.usable_cores)} usable cores",
        f"Python {machine.python}, torch {machine.packages.get('torch', 'unknown')}",
        f"mps_experiments {machine.mps_experiments}",
        f"host {machine.hostname}",
    ]
    return "; ".join(parts)


@dataclass(frozen=True, kw_only=True)
class Machines:
    """The machines of a report, in the order in which they came; a line for each."""

    lines: tuple[str, ...]

    @classmethod
    def of(cls, measurements: Iterable[Measurement]) -> "Machines":
        return cls(lines=tuple(dict.fromkeys(machine_line(m.machine) for m in measurements)))

    @property
    def are_several(self) -> bool:
        return len(self.lines) > 1

    def index(self, measurement: Measurement) -> int:
        return self.lines.index(machine_line(measurement.machine))

    def letter(self, measurement: Measurement) -> str:
        """Return the letter of a run's machine."""
        return letter(self.index(measurement))

    def label(self, measurement: Measurement) -> str:
        """Put before what is said of a run; empty where there is one machine only."""
        return f"machine {self.letter(measurement)}: " if self.are_several else ""

    def apart(self, measurements: Sequence[Measurement]) -> list[list[Measurement]]:
        """List the runs of each machine."""
        return [[m for m in measurements if machine_line(m.machine) == line] for line in self.lines]


def letter(index: int) -> str:
    """Return A, B, ... Z, #27, ..."""
    return chr(ord("A") + index) if index < 26 else f"#{index + 1}"
