"""A record's place on disk: free space is looked for before the run, a second place is tried after it."""

import shutil
import tempfile
from pathlib import Path

from mps_experiments.errors import RecordError
from mps_experiments.record.measurement import Measurement, write_measurement


def check_room(folder: Path, min_free_mb: int) -> None:
    """Refuse to begin a run without room for what it writes; its folder is created.

    Raises:
        RecordError: If fewer than `min_free_mb` megabytes are free, or the folder cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free_mb = shutil.disk_usage(folder).free // 10**6
    except OSError as error:
        raise RecordError(f"{folder} cannot be written: {error.strerror}") from error
    if free_mb < min_free_mb:
        raise RecordError(f"only {free_mb} MB are free in {folder}, less than min_free_disk_mb={min_free_mb}")


def keep(measurement: Measurement, path: Path) -> Path:
    """Write a record to its place or, if that cannot be, below the temporary folder; returns the file.

    Raises:
        RecordError: If neither can be written.
    """
    try:
        write_measurement(measurement, path)
    except RecordError as error:
        aside = Path(tempfile.gettempdir()) / f"mps_experiments-{measurement.sweep_id}" / path.parent.name
        try:
            aside.parent.mkdir(mode=0o700, exist_ok=True)
            write_measurement(measurement, aside / path.name)
        except (RecordError, OSError) as second:
            raise RecordError(f"{error}; nor {aside}: {second}") from error
        return aside / path.name
    return path
