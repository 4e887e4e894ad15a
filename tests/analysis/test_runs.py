"""A record without its samples says in tables, causes and comparisons what the whole record says."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mps_experiments.analysis.comparison import ratios
from mps_experiments.analysis.explanation import explanations
from mps_experiments.analysis.runs import ReportRun, condensed
from mps_experiments.record.measurement import FILE_NAME, Measurement, write_measurement
from mps_experiments.report.lines import cell_line
from mps_experiments.report.summary import summary_text
from mps_experiments.tracking.comparisons import comparison_fields
from tests.evidence_records import traced_run, with_core_waits, with_late_start, with_telemetry
from tests.outputs import with_output
from tests.records import INVALID, SKIPPED, make_measurement, with_latencies

GPU: dict[str, Any] = {"power_w": 350.0, "sm_activity": 0.97, "dram_activity": 0.25, "sm_clock_mhz": 1980}
ONE = with_core_waits(traced_run("one", procs=1, mps="on", iteration_ms=10.0, running_ms=9.5), 0.0)
TWO = with_core_waits(
    traced_run("two", mps="on", iteration_ms=18.0, running_ms=15.0, behind_ms=2.5), 0.0, 0.3
)
SWEEPS = {
    "explained by the GPU": [with_telemetry(ONE, **GPU), with_telemetry(TWO, **GPU)],
    "explained by cores": [ONE, with_late_start(TWO, 30.0)],
    "repeats and outputs": [
        with_output(make_measurement(f"{procs}-{n}", procs=procs, repeat=n, makespan_s=procs + n / 10), 1.0)
        for procs in (1, 2, 8)
        for n in range(3)
    ],
    "no numbers": [
        make_measurement("invalid", verdict=INVALID),
        make_measurement("skipped", mps="on", verdict=SKIPPED),
        make_measurement("alone", procs=2),
    ],
}


@pytest.mark.parametrize("cells", SWEEPS.values(), ids=SWEEPS)
def test_every_report_is_the_same(cells: list[Measurement]) -> None:
    short: list[Measurement] = [condensed(cell) for cell in cells]
    assert summary_text(short) == summary_text(cells)
    assert ratios(short) == ratios(cells)
    assert explanations(short, ratios(short)) == explanations(cells, ratios(cells))
    assert comparison_fields(short, {}) == comparison_fields(cells, {})
    assert [cell_line(cell) for cell in short] == [cell_line(cell) for cell in cells]


def test_samples_and_readings_go_and_percentiles_stay() -> None:
    run = with_telemetry(with_latencies(TWO, *range(1, 101)), count=1000, **GPU)
    short = condensed(run)
    assert [worker.samples.latencies_ns if worker.samples else None for worker in short.workers] == [(), ()]
    assert short.telemetry is None
    assert short.telemetry_summary() is not None
    figures = short.statistics()
    assert figures is not None
    assert figures.latencies.count == 200
    assert figures.latencies.percentile_s(95) == pytest.approx(0.095)


def test_condensing_again_changes_nothing_and_a_name_can_be_given() -> None:
    short = condensed(TWO)
    assert condensed(short) is short
    renamed = replace(short, name="another")
    assert (renamed.name, renamed.statistics()) == ("another", TWO.statistics())


def test_the_timeline_is_a_file_beside_the_record(tmp_path: Path) -> None:
    assert ReportRun.of(make_measurement()).timeline is None
    run = ReportRun.of(make_measurement(), tmp_path)
    assert run.timeline is None
    (tmp_path / "timeline.png").write_bytes(b"png")
    assert run.timeline == tmp_path / "timeline.png"


def test_the_timeline_of_a_run_whose_folder_was_used_again_is_gone(tmp_path: Path) -> None:
    earlier, later = make_measurement("earlier"), make_measurement("later")
    for run in (earlier, later):
        write_measurement(run, tmp_path / FILE_NAME)
    (tmp_path / "timeline.png").write_bytes(b"the later one's")
    assert ReportRun.of(earlier, tmp_path).timeline is None
    assert ReportRun.of(later, tmp_path).timeline == tmp_path / "timeline.png"
