"""Records that cannot be true."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mps_experiments.errors import RecordError
from mps_experiments.record.measurement import Measurement, read_measurement, write_measurement
from tests.fault_records import faulty_run
from tests.records import INVALID, SKIPPED, make_measurement, with_latencies


def with_cell(**changed: Any) -> Measurement:
    run = make_measurement(procs=2)
    return replace(run, cell=run.cell.moved(**changed))


def with_kept(run: Measurement, kept_s: float) -> Measurement:
    """The run, its first worker busy for one more iteration."""
    first, *rest = run.workers
    assert first.samples is not None
    samples = replace(first.samples, kept_ns=(round(kept_s * 1e9),))
    return replace(run, workers=(replace(first, samples=samples), *rest))


@pytest.mark.parametrize(
    "run",
    [
        make_measurement(procs=2),
        make_measurement(verdict=SKIPPED),
        replace(with_cell(procs=3), verdict=INVALID),
        with_kept(make_measurement(), 0.5),
        faulty_run("hit"),
    ],
)
def test_records_as_the_program_writes_them_can_be_read(run: Measurement, tmp_path: Path) -> None:
    write_measurement(run, tmp_path / "record.json")
    assert read_measurement(tmp_path / "record.json") == run


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (with_cell(procs=3), "VALID with 2 workers of procs=3"),
        (with_cell(times=7), "VALID with 2 to 2 iterations of times=7"),
        (with_latencies(make_measurement(), 1.0, 0.0), "an iteration that took no time"),
        (with_latencies(make_measurement(), 1.0, 1e9), r"took 100000\d\.\d\d s, the whole run 3\.00 s"),
        (with_kept(make_measurement(), 1e6), r"took 100000\d\.\d\d s, the whole run 3\.00 s"),
        (with_kept(faulty_run("hit"), 1e6), r"took 100000\d\.\d\d s, the whole run 3\.00 s"),
    ],
)
def test_what_cannot_be_is_refused(run: Measurement, said: str, tmp_path: Path) -> None:
    write_measurement(run, tmp_path / "record.json")
    with pytest.raises(RecordError, match=f"contradicts itself .*{said}"):
        read_measurement(tmp_path / "record.json")
