"""A run without its samples, with the latencies that a chart needs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mps_experiments.measurement.samples import CondensedSamples
from mps_experiments.measurement.verdict import Verdict
from mps_experiments.pages.runs import ReportRun
from mps_experiments.report.condensed import condensed
from tests.fault_records import faulty_run
from tests.records import INVALID, SKIPPED, make_measurement
from tests.report_panels import arm


def test_the_latencies_of_all_workers_are_kept_and_the_samples_are_not() -> None:
    (measurement,) = arm("on", {2: 1.0})
    run = ReportRun.of(measurement)
    assert np.allclose(run.latencies_ms, [100.0] * 20)
    assert all(isinstance(worker.samples, CondensedSamples) for worker in run.measurement.workers)
    assert run.measurement.statistics() == measurement.statistics()


@pytest.mark.parametrize("verdict", [INVALID, SKIPPED])
def test_a_run_that_is_not_valid_has_no_latencies(verdict: Verdict) -> None:
    (measurement,) = arm("on", {2: 1.0})
    assert ReportRun.of(replace(measurement, verdict=verdict)).latencies_ms.size == 0


def test_a_run_with_a_fault_has_none_either() -> None:
    assert ReportRun.of(faulty_run("a")).latencies_ms.size == 0


def test_what_was_condensed_before_has_lost_them() -> None:
    run = ReportRun.of(condensed(make_measurement()))
    assert run.latencies_ms.size == 0
    assert run.measurement.statistics() is not None


def test_a_run_may_have_another_name() -> None:
    assert ReportRun.of(make_measurement(), name="another").measurement.name == "another"
    assert ReportRun.of(make_measurement()).measurement.name == "mps=off procs=1 times=2"


def test_the_timeline_is_a_file_beside_the_record(tmp_path: Path) -> None:
    assert ReportRun.of(make_measurement()).timeline is None
    run = ReportRun.of(make_measurement(), tmp_path)
    assert run.timeline is None
    (tmp_path / "timeline.png").write_bytes(b"png")
    assert run.timeline == tmp_path / "timeline.png"
