"""The benchmarks can start: they use what the package has, and are run too seldom to show what it lacks."""

from importlib import import_module
from pathlib import Path

import pytest
from benchmarks.report_speed import write_records

from mps_experiments.record.measurement import find_measurements, read_measurement

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.py")))
def test_each_can_be_imported(name: str) -> None:
    assert callable(import_module(f"benchmarks.{name}").main)


def test_the_records_of_the_report_benchmark_have_figures(tmp_path: Path) -> None:
    write_records(tmp_path, 9, 400)
    found = [read_measurement(path) for path in find_measurements(tmp_path)]
    assert len({m.record_id for m in found}) == 9
    assert {m.cell.procs for m in found} == {1, 2, 4, 8}
    assert [m.cell.times for m in found if m.has_figures] == [400] * 9
