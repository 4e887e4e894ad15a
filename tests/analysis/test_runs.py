"""A run without its samples, and where its files lie."""

from pathlib import Path

import pytest

from mps_experiments.analysis.runs import ReportRun
from mps_experiments.record.samples import CondensedSamples
from tests.records import make_measurement, with_latencies
from tests.report_panels import arm


def test_the_samples_go_and_the_percentiles_stay() -> None:
    (measurement,) = arm("on", {2: 1.0})
    run = ReportRun.of(with_latencies(measurement, *range(1, 101)))
    assert all(isinstance(worker.samples, CondensedSamples) for worker in run.measurement.workers)
    figures = run.measurement.statistics()
    assert figures is not None
    assert figures.latencies.count == 200
    assert figures.latencies.percentile_s(95) == pytest.approx(0.095)


def test_the_timeline_is_a_file_beside_the_record(tmp_path: Path) -> None:
    assert ReportRun.of(make_measurement()).timeline is None
    run = ReportRun.of(make_measurement(), tmp_path)
    assert run.timeline is None
    (tmp_path / "timeline.png").write_bytes(b"png")
    assert run.timeline == tmp_path / "timeline.png"
