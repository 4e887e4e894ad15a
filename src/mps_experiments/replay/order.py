"""The command line that runs stored cells again, its experiment written to a file that stays."""

import hashlib
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mps_experiments.errors import ConfigError
from mps_experiments.export.experiment import Wanted, cells_of, experiment_of, place
from mps_experiments.export.sheet import Sheet, default_name
from mps_experiments.export.values import typed

_FOLDER = "replayed"  # below output_dir; the files stay, so that the command in sweep.json works again
# What may be said anew: it is of this machine, or changes no number.
MAY_CHANGE = (
    *("device", "gpu_wait_s", "min_free_disk_mb", "report", "workload.input", "workload.weights"),
    *("tracking", "tracking.enabled", "tracking.uri", "tracking.experiment"),
    *("tracking.timeout_s", "tracking.connect_timeout_s"),
)


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be run.

    Attributes:
        arguments: The command line of the program.
        sweep_dir: Where its records will be.
        options: What the user said anew.
        cell_count: How many cells it is to have.
    """

    arguments: list[str]
    sweep_dir: Path
    options: tuple[str, ...]
    cell_count: int


def order_of(wanted: Wanted, output_dir: Path, repeats: int, options: Sequence[str]) -> Order:
    """Write the experiment and say how to run it.

    Args:
        wanted: The stored cells.
        output_dir: Today's output directory.
        repeats: How often to measure each cell.
        options: Further ``option=value``, each of `MAY_CHANGE`.

    Raises:
        ConfigError: If this version does not take a value, or the folder cannot be written.
    """
    folder = output_dir.expanduser().absolute()
    now = time.strftime("%Y-%m-%d/%H-%M-%S")
    sweep_dir = folder / f"{now}-replay-{uuid.uuid4().hex[:6]}"
    sheet = _sheet(wanted)
    arguments = [
        *("-m", "--config-dir", str(_written(sheet, folder)), *sheet.arguments),
        f"repeat={','.join(map(str, range(repeats)))}",
        f"output_dir={typed(str(folder))}",
        f"hydra.sweep.dir={typed(str(sweep_dir))}",
        *options,
    ]
    cell_count = len(cells_of(wanted.grid)) * repeats
    return Order(arguments=arguments, sweep_dir=sweep_dir, options=tuple(options), cell_count=cell_count)


def _sheet(wanted: Wanted) -> Sheet:
    """The experiment under a name that no other content has."""
    name = default_name(wanted.grid)
    digest = hashlib.sha256(experiment_of(wanted, name).text.encode()).hexdigest()[:8]
    return experiment_of(wanted, f"{name}-{digest}")


def _written(sheet: Sheet, output_dir: Path) -> Path:
    folder = output_dir / _FOLDER
    try:
        place(sheet, folder)
    except OSError as error:
        raise ConfigError("--output-dir", output_dir, f"cannot be written ({error.strerror})") from error
    return folder
