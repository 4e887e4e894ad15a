"""Read the stored VALID runs that nothing tells apart from runs of these cells but their block."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mps_experiments.analysis.runs import condensed
from mps_experiments.config.composer import Cell, recorded
from mps_experiments.record.machine import MachineFacts
from mps_experiments.record.measurement import Measurement
from mps_experiments.record.summaries import records_below
from mps_experiments.run.fingerprint import Fingerprint, of_plan, of_record
from mps_experiments.run.plan import RunPlan
from mps_experiments.workloads.files import file_sha256


@dataclass(frozen=True)
class Stored:
    """A stored run without its samples, and its file."""

    run: Measurement
    path: Path


class StoredRuns:
    """The VALID records below an output directory, by what their numbers depend on.

    Args:
        output_dir: The folder.

    Attributes:
        problems: Why records could not be read.
    """

    def __init__(self, output_dir: Path) -> None:
        self.problems: list[str] = []
        self._runs: dict[str, list[Stored]] = {}
        self._fingerprints: dict[str, Fingerprint] = {}
        for run, path in records_below(output_dir, self.problems):
            if run.tells_of_its_cell:
                fingerprint = of_record(run)
                digest = _digest(fingerprint)
                self._fingerprints.setdefault(digest, fingerprint)
                self._runs.setdefault(digest, []).append(Stored(condensed(run), path))

    def of(self, wanted: Fingerprint) -> list[Stored]:
        """Return the runs of the cell with this fingerprint in any block, the oldest first."""
        return sorted(self._runs.get(_digest(wanted), []), key=lambda each: each.run.started_at)

    def unused(self, wanted: Sequence[Fingerprint]) -> Iterator[tuple[Fingerprint, int]]:
        """Yield the fingerprint of runs that stand for none of these cells, and how many there are."""
        used = {_digest(each) for each in wanted}
        for digest, fingerprint in self._fingerprints.items():
            if digest not in used:
                yield fingerprint, len(self._runs[digest])


def fingerprints(
    cells: Sequence[Cell], plans: Sequence[RunPlan], machine: Mapping[str | None, MachineFacts]
) -> Iterator[Fingerprint]:
    """Yield the fingerprint of each cell's runs; `machine` has the facts by the GPU's UUID."""
    digests: dict[str, str] = {}
    for cell, plan in zip(cells, plans, strict=True):
        file = plan.workloads[0].weights_file
        if file and file not in digests:
            digests[file] = file_sha256(Path(file))
        facts = machine[plan.device.uuid]
        yield of_plan(plan, recorded(cell.composed()), facts, digests[file] if file else None)


def _digest(fingerprint: Fingerprint) -> str:
    """Return what all blocks of a cell share."""
    return fingerprint.without("repeat").digest
