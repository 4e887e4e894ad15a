"""The files of one run, by their names, and what becomes of them when their folder is used again."""

import re
from dataclasses import dataclass
from pathlib import Path

from mps_experiments.errors import RecordError
from mps_experiments.record.disk import put_aside
from mps_experiments.record.measurement import FILE_NAME, records_in

_WORKER_LOG = re.compile(r"worker-\d+\.log")
_SWEEP_ASIDE = re.compile(r"sweep\.\d+\.json")


class _File:
    """A file of a run by its name."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, paths: "RunPaths", owner: type) -> Path:
        return paths.folder / self._name


@dataclass(frozen=True, kw_only=True)
class RunPaths:
    """Every path that one run may write."""

    folder: Path

    measurement = _File(FILE_NAME)  # the record, the truth
    control_log = _File("control.log")  # of the MPS control daemon
    server_log = _File("server.log")  # of the MPS server
    trace = _File("trace.json.gz")  # the traced pass of all workers, for Perfetto
    timeline = _File("timeline.png")  # the same as a picture
    newcomer_log = _File("newcomer.log")  # of the clients that came after a fault

    def worker_log(self, rank: int) -> Path:
        """Return the path of what worker `rank` printed."""
        return self.folder / f"worker-{rank}.log"

    def beside_the_record(self) -> list[Path]:
        """List the logs, the trace and the picture that there are; files of anybody else are none."""
        named = {self.control_log, self.server_log, self.newcomer_log, self.trace, self.timeline}
        return sorted(
            path for path in self.folder.glob("*") if path in named or _WORKER_LOG.fullmatch(path.name)
        )


def make_way(folder: Path, sweep_folder: Path) -> None:
    """Give the files of an earlier run in a folder numbered names, before a later run.

    Where no run was before, with hydra.run.dir=. for example, files of these names are somebody else's.

    Args:
        folder: The later run's folder.
        sweep_folder: Its sweep's, which shows an earlier sweep that was killed before it left a record.

    Raises:
        RecordError: If this cannot be done.
    """
    earlier_sweeps = (path for path in sweep_folder.glob("sweep.*.json") if _SWEEP_ASIDE.fullmatch(path.name))
    if not (records_in(folder) or any(earlier_sweeps)):
        return
    try:
        for path in (folder / FILE_NAME, *RunPaths(folder=folder).beside_the_record()):
            put_aside(path)
    except OSError as error:
        what = f"the files of an earlier run in {folder} cannot be put aside"
        raise RecordError(f"{what}: {error.strerror}") from error
