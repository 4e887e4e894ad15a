"""Records that cannot be true."""

from dataclasses import replace
from typing import Any

import pytest

from mps_experiments.analysis.soundness import contradiction
from mps_experiments.record.measurement import Measurement
from tests.fault_records import faulty_run
from tests.records import INVALID, SKIPPED, make_measurement, with_latencies


def with_cell(**changed: Any) -> Measurement:
    run = make_measurement(procs=2)
    return replace(run, cell=run.cell.moved(**changed))


@pytest.mark.parametrize(
    "run",
    [
        make_measurement(procs=2),
        make_measurement(verdict=SKIPPED),
        replace(with_cell(procs=3), verdict=INVALID),
        faulty_run("hit"),
    ],
)
def test_records_as_the_program_writes_them_agree_with_themselves(run: Measurement) -> None:
    assert contradiction(run) == ""


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (with_cell(procs=3), "VALID with 2 workers of procs=3"),
        (with_cell(times=7), "VALID with 2 to 2 iterations of times=7"),
        (with_latencies(make_measurement(), 1.0, 0.0), "an iteration that took no time"),
        (
            with_latencies(make_measurement(), 1.0, 1e9),
            "a worker's iterations took 1e+06 s, the whole run 3 s",
        ),
    ],
)
def test_what_cannot_be_is_said(run: Measurement, said: str) -> None:
    assert contradiction(run) == said
