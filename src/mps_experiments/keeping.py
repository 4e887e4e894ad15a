"""A run's record finds its place on disk: room is set aside before the run, a second place is tried after."""

import shutil
import tempfile
from pathlib import Path

from mps_experiments.disk import Reservation
from mps_experiments.errors import RecordError
from mps_experiments.plan import RunPlan
from mps_experiments.record import Measurement, write_measurement

# Bytes of a record, generously: what every record has, what each worker adds (most of it its output's
# digest), one iteration of one worker, and one reading of the GPU. How long the run will take is not known; a
# record of a slow model may become larger than this, and then needs free room as any file does.
_RECORD_BYTES = 64_000
_WORKER_BYTES = 48_000
_ITERATION_BYTES = 24
_READING_BYTES = 600
_ITERATION_S = 0.1
_SHORT_ITERATION_S = 0.001


def record_bytes(plan: RunPlan) -> int:
    """Room that the record of this run may need, in bytes."""
    window = plan.window
    iterations = window.iterations or round((window.seconds or 0.0) / _SHORT_ITERATION_S)
    size = _RECORD_BYTES + plan.worker_count * (_WORKER_BYTES + iterations * _ITERATION_BYTES)
    if not plan.device.is_cpu and plan.telemetry_interval_s:
        seconds = window.seconds or iterations * _ITERATION_S
        size += round(seconds / plan.telemetry_interval_s) * _READING_BYTES
    return size


def room_for_record(plan: RunPlan, min_free_mb: int) -> Reservation:
    """Set room aside in the run's folder, which is created.

    Args:
        plan: The run.
        min_free_mb: Megabytes that must be free besides.

    Raises:
        RecordError: If there is not so much room; the run is better not begun.
    """
    folder, size = plan.paths.folder, record_bytes(plan)
    try:
        room = Reservation(folder, size)
        free_mb = shutil.disk_usage(folder).free // 10**6
    except OSError as error:
        raise RecordError(
            f"no room for its record, up to {size / 1e6:.1f} MB ({error.strerror}: {folder})"
        ) from error
    if free_mb < min_free_mb:
        room.give_back()
        raise RecordError(f"only {free_mb} MB are free in {folder}, less than min_free_disk_mb={min_free_mb}")
    return room


def spare_room(plan: RunPlan) -> Reservation | None:
    """Set room aside for writing the record once more, where files that follow it may fail.

    None without such files, or without room.
    """
    if not plan.trace.iterations:
        return None
    try:
        return Reservation(plan.paths.folder, record_bytes(plan))
    except OSError:
        return None


def keep(measurement: Measurement, path: Path, room: Reservation | None = None) -> Path:
    """Write a record to its place or, if that cannot be, below the temporary folder; returns the file.

    Raises:
        RecordError: If neither can be written.
    """
    try:
        write_measurement(measurement, path, room)
    except RecordError as error:
        aside = Path(tempfile.gettempdir()) / f"mps_experiments-{measurement.sweep_id}" / path.parent.name
        try:
            aside.parent.mkdir(mode=0o700, exist_ok=True)
            write_measurement(measurement, aside / path.name)
        except (RecordError, OSError) as second:
            raise RecordError(f"{error}; nor {aside}: {second}") from error
        return aside / path.name
    return path
