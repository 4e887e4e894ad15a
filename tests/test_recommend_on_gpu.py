"""``python -m mps_experiments.recommend`` on a GPU: both states of MPS are measured and compared."""

from pathlib import Path

import pytest

from mps_experiments.record.measurement import find_measurements, read_measurement
from mps_experiments.record.verdict import Status
from tests.conftest import Command


@pytest.mark.gpu
def test_both_states_of_mps_are_in_the_answer(mps_experiments: Command, tmp_path: Path) -> None:
    limits = ("--p50-ms", "1000", "--memory-gib", "70", "--budget-min", "1")
    cells = ("workload=resnet50", "procs=1,2", "mps=off,on", "window_s=2", "tracking=none")
    done = mps_experiments(*cells, *limits, module="mps_experiments.recommend")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    (used,) = [line for line in lines if line.startswith("USE procs=")]
    assert "GiB" in used
    assert "J per image" in used
    others = [line for line in lines if line.startswith(("tied: ", "worse: ", "not known: ", "excluded: "))]
    assert len(others) == 3
    runs = [read_measurement(path) for path in find_measurements(tmp_path)]
    assert {m.cell.mps for m in runs} == {"on", "off"}
    assert {m.verdict.status for m in runs} == {Status.VALID}
