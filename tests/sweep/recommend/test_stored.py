"""The stored runs of a cell are those of its fingerprint in any block."""

from dataclasses import replace
from pathlib import Path

from mps_experiments.record.measurement import Measurement, write_measurement
from mps_experiments.run.fingerprint import of_record
from mps_experiments.sweep.recommend.stored import StoredRuns
from tests.records import make_measurement


def a_run(record_id: str, **axes: int) -> Measurement:
    run = make_measurement(record_id)
    return replace(run, cell=run.cell.moved(**axes))


def test_a_twin_is_no_stored_run_of_a_cell_nor_one_that_is_not_used(tmp_path: Path) -> None:
    runs = [a_run("1"), a_run("2", repeat=1), a_run("3", twin=1)]
    for run in runs:
        write_measurement(run, tmp_path / run.record_id / "measurement.json")
    stored = StoredRuns(tmp_path)
    assert [each.run.record_id for each in stored.of(of_record(runs[0]))] == ["1", "2"]
    assert stored.of(of_record(runs[2])) == []
