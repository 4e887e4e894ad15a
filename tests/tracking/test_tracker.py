"""The tracker that keeps nothing."""

from pathlib import Path

from mps_experiments.tracking.tracker import SweepInfo, SweepReport, Tracker
from tests.records import make_measurement


def test_without_tracking_nothing_is_kept_and_the_hint_says_so(tmp_path: Path) -> None:
    tracker = Tracker()
    tracker.start_sweep(SweepInfo(sweep_id="s", name="n", command="c", is_sweep=True))
    tracker.log_cell(make_measurement(), tmp_path, interrupted=False)
    tracker.finish_sweep([make_measurement()], SweepReport(tables="tables", description="tables"), "FINISHED")
    assert list(tmp_path.iterdir()) == []
    assert tracker.browse_hint() == "tracking=none: the records are in the run folders only"
