"""The files of a run beside its record, by name, and what becomes of them when their folder is used again."""

import re
from pathlib import Path

from mps_experiments.errors import RecordError
from mps_experiments.record.disk import put_aside
from mps_experiments.record.measurement import FILE_NAME, records_in

CONTROL_LOG = "control.log"  # of the MPS control daemon
SERVER_LOG = "server.log"  # of the MPS server
TRACE = "trace.json.gz"  # the traced pass of all workers, for Perfetto
TIMELINE = "timeline.png"  # the same as a picture
NEWCOMER_LOG = "newcomer.log"  # of the clients that came after a fault
_NAMES = re.compile(
    "|".join(map(re.escape, (CONTROL_LOG, SERVER_LOG, TRACE, TIMELINE, NEWCOMER_LOG))) + r"|worker-\d+\.log"
)


def worker_log(rank: int) -> str:
    """Return the name of what worker `rank` printed."""
    return f"worker-{rank}.log"


def run_files(folder: Path) -> list[Path]:
    """List the files of a run in its folder, without the record; none of anybody else."""
    return sorted(path for path in folder.glob("*") if _NAMES.fullmatch(path.name))


def make_way(folder: Path, sweep_folder: Path) -> None:
    """Put an earlier run's record in a folder aside and remove that run's other files, before a later run.

    Where no run was before, with hydra.run.dir=. for example, files of these names are somebody else's.

    Args:
        folder: The later run's folder.
        sweep_folder: Its sweep's, which shows an earlier sweep that was killed before it left a record.

    Raises:
        RecordError: If this cannot be done.
    """
    if not (records_in(folder) or any(sweep_folder.glob("sweep.*.json"))):
        return
    try:
        put_aside(folder / FILE_NAME)
        for path in run_files(folder):
            path.unlink()
    except OSError as error:
        what = f"the files of an earlier run in {folder} cannot be removed"
        raise RecordError(f"{what}: {error.strerror}") from error
