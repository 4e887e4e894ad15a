"""Records that cannot be true."""

from dataclasses import replace
from typing import Any

import pytest

from mps_experiments.analysis.soundness import contradiction
from mps_experiments.record.measurement import Measurement
from tests.evidence_records import traced_run, with_telemetry
from tests.fault_records import faulty_run
from tests.records import INVALID, SKIPPED, make_measurement


def with_cell(**changed: Any) -> Measurement:
    run = make_measurement(procs=2)
    return replace(run, cell=run.cell.moved(**changed))


def shorter(run: Measurement) -> Measurement:
    first, *others = run.workers
    assert first.samples is not None
    samples = replace(first.samples, latencies_ns=first.samples.latencies_ns[:-1])
    return replace(run, workers=(replace(first, samples=samples), *others))


def overlapping(share: float) -> Measurement:
    run = traced_run("traced", mps="on", procs=2)
    assert run.activity is not None
    return replace(run, activity=replace(run.activity, overlap_share=share))


@pytest.mark.parametrize(
    "run",
    [
        make_measurement(procs=2),
        make_measurement(verdict=SKIPPED),
        make_measurement(procs=2, verdict=INVALID),
        faulty_run("hit"),
        with_telemetry(traced_run("traced", mps="on", procs=2)),
        overlapping(1.0),
    ],
)
def test_records_as_the_program_writes_them_agree_with_themselves(run: Measurement) -> None:
    assert contradiction(run) == ""


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (with_cell(mps="maybe"), "mps=maybe"),
        (with_cell(procs=0), "procs=0 times=2"),
        (with_cell(procs=3), "VALID with 2 workers of procs=3"),
        (with_cell(times=7), "VALID with 2 to 2 iterations of times=7"),
        (shorter(make_measurement(procs=2)), "VALID with 1 to 2 iterations of times=2"),
        (replace(make_measurement(), started_at=float("nan")), "started_at=nan"),
        (replace(make_measurement(), started_at=1e300), "started_at=1e+300"),
        (replace(make_measurement(), wall_s=float("inf")), "wall_s=inf"),
        (overlapping(7.5), "overlap is 750"),
        (overlapping(float("nan")), "overlap is nan"),
        (with_telemetry(make_measurement(), power_w=float("nan")), "power_w is nan"),
    ],
)
def test_what_cannot_be_is_said(run: Measurement, said: str) -> None:
    assert contradiction(run) == said
