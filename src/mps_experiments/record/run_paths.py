"""The files of one run, by their names."""

from dataclasses import dataclass
from pathlib import Path

from mps_experiments.record.measurement import FILE_NAME


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
        """List the logs, the trace and the picture that there are."""
        named = (self.control_log, self.server_log, self.newcomer_log, self.trace, self.timeline)
        return sorted([*self.folder.glob("worker-*.log"), *(path for path in named if path.exists())])
