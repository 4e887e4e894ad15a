"""Records of earlier sweeps that make a run unnecessary, and why the others do not."""

from dataclasses import dataclass
from pathlib import Path

from mps_experiments.analysis.numbers import moment
from mps_experiments.errors import RecordError
from mps_experiments.record.measurement import Measurement, read_measurement, records_in
from mps_experiments.record.summaries import records_below
from mps_experiments.record.verdict import Status, Verdict
from mps_experiments.run.fingerprint import Fingerprint, of_record


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A VALID record that stands for a run."""

    measurement: Measurement
    path: Path

    @property
    def folder(self) -> Path:
        """Return the folder that holds the record and the run's files."""
        return self.path.parent

    @property
    def line(self) -> str:
        """Return what is said instead of running."""
        return f"RESUMED: VALID record of {moment(self.measurement.started_at)} in {self.folder}"


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """What is kept in memory of a record: there may be thousands."""

    path: Path
    record_id: str
    started_at: float
    verdict: Verdict
    digest: str
    configuration_digest: str

    def read(self) -> Kept:
        """Read the record, which has a number once a run of this sweep has used its folder.

        Raises:
            RecordError: If it is gone or cannot be read.
        """
        for path in (self.path, *records_in(self.path.parent)):
            if path.exists() and (found := read_measurement(path)).record_id == self.record_id:
                return Kept(measurement=found, path=path)
        raise RecordError(f"{self.path} is no longer there")


class EarlierRuns:
    """All records below an output directory, as they were when this was made; each is used once.

    Args:
        output_dir: The folder; also records kept aside in it count, MLflow's copies of one count as one.

    Attributes:
        problems: Why records could not be read; they are as good as not there.
    """

    def __init__(self, output_dir: Path) -> None:
        self.problems: list[str] = []
        entries = [_entry(*found) for found in records_below(output_dir, self.problems)]
        self._entries = sorted(entries, key=lambda entry: entry.started_at, reverse=True)

    def take(self, wanted: Fingerprint) -> Kept | None:
        """Take the newest VALID record of this fingerprint that was not taken yet; None if there is none."""
        for entry in [each for each in self._entries if each.digest == wanted.digest]:
            if not entry.verdict.is_valid:
                continue
            self._entries.remove(entry)
            try:
                return entry.read()
            except RecordError as error:
                self.problems.append(str(error))
        return None

    def why_not(self, wanted: Fingerprint) -> str:
        """Say why a record of the same configuration does not stand for a run; empty without one."""
        same = [
            entry
            for entry in self._entries
            if entry.configuration_digest == wanted.configuration_digest
            and entry.verdict.status is not Status.SKIPPED  # says nothing that will not be said again
        ]
        if not same:
            return ""
        valid = [entry for entry in same if entry.verdict.is_valid]
        entry = (valid or same)[0]
        where = f"runs: the record of {moment(entry.started_at)} in {entry.path.parent}"
        if not valid:
            return f"{where} is {entry.verdict.status.value}: {entry.verdict.reason}"
        try:
            differences = of_record(entry.read().measurement).differences(wanted)
        except RecordError as error:
            return f"runs: {error}"
        return f"{where} differs in {', '.join(differences)}"


def _entry(measurement: Measurement, path: Path) -> _Entry:
    fingerprint = of_record(measurement)
    return _Entry(
        path=path,
        record_id=measurement.record_id,
        started_at=measurement.started_at,
        verdict=measurement.verdict,
        digest=fingerprint.digest,
        configuration_digest=fingerprint.configuration_digest,
    )
