"""Series over the number of processes, and what is measured beside times."""

from dataclasses import replace

import pytest

from mps_experiments.analysis.figures import arm_series, median_of, quantity_series, rate, said, short
from mps_experiments.analysis.metrics import shown_values
from tests.evidence_records import traced_run, with_telemetry
from tests.records import INVALID, make_measurement
from tests.report_panels import CPU_ONLY, arm, full_sweep, panel_of


def test_a_series_has_a_point_for_each_number_of_processes() -> None:
    panel = panel_of(*arm("off", {2: 2.0, 1: 1.0}), *arm("on", {1: 0.5}))
    off, on = arm_series(panel, lambda group: group.median_s)
    assert (off.mps, off.label, off.counts, off.values) == (
        "off",
        "MPS off (time-sliced)",
        (1, 2),
        (1.0, 2.0),
    )
    assert (on.label, on.counts, on.errors) == ("MPS on", (1,), None)


def test_errors_reach_from_the_value_to_the_ends_of_the_range() -> None:
    panel = panel_of(*arm("off", {1: 1.0, 2: (1.0, 2.0, 4.0)}))
    (series,) = arm_series(
        panel,
        lambda group: group.median_s,
        lambda group: (min(group.makespans_s), max(group.makespans_s)) if len(group) > 1 else None,
    )
    assert series.errors == ((0.0, 1.0), (0.0, 2.0))


def test_what_has_no_value_has_no_point() -> None:
    panel = panel_of(*arm("off", {1: 1.0, 2: 2.0}))
    assert arm_series(panel, lambda _: None) == []
    (series,) = arm_series(panel, lambda group: group.median_s if group.first.cell.procs == 2 else None)
    assert series.counts == (2,)


def test_the_cpu_is_called_by_its_name() -> None:
    (series,) = arm_series(panel_of(*arm("off", {1: 1.0}, machine=CPU_ONLY)), lambda group: group.median_s)
    assert series.label == "on the CPU"


def test_shares_are_percent_and_energy_is_per_iteration_of_all_processes() -> None:
    (run,) = [run for run in full_sweep() if run.record_id == "on-2"]
    values = shown_values(run)
    assert (values["overlap"], values["busy"]) == (12.5, 75.0)
    assert values["gpu/energy_per_item_j"] == pytest.approx(10 * 4.0 / 200)  # ten steps of 4 J
    assert values["power_w"] == pytest.approx(10 * 4.0 / 1.1)  # in 1.1 s, whatever the lagging readings say


def test_without_an_energy_counter_the_power_is_that_of_the_readings() -> None:
    assert shown_values(with_telemetry(traced_run(), power_w=200.0))["power_w"] == 200.0


def test_overlap_that_cannot_be_told_has_no_value() -> None:
    """One process has nobody to overlap with; without MPS long operations span turns."""
    assert shown_values(traced_run(procs=1))["overlap"] is None
    assert shown_values(traced_run(procs=2, mps="off", long=0.5))["overlap"] is None
    assert shown_values(traced_run(procs=2, mps="on", long=0.5))["overlap"] == 12.5
    assert shown_values(traced_run(procs=2, on_gpu=False))["busy"] is None


def test_what_was_not_measured_has_no_value() -> None:
    assert set(shown_values(make_measurement()).values()) == {None}
    without = with_telemetry(traced_run(), utilization=0.5)
    assert shown_values(without)["power_w"] is None
    assert shown_values(replace(without, verdict=INVALID))["gpu/energy_per_item_j"] is None


def test_the_median_is_over_the_runs_that_have_the_quantity() -> None:
    runs = [with_telemetry(traced_run(str(watts)), power_w=watts) for watts in (100.0, 300.0, 110.0)]
    assert median_of([*runs, make_measurement()], "power_w") == 110.0
    assert median_of([make_measurement()], "power_w") is None
    panel = panel_of(*full_sweep())
    assert [series.values for series in quantity_series(panel, "overlap")] == [(12.5, 12.5)] * 2


def test_numbers_are_short_but_keep_their_digits() -> None:
    assert [short(value) for value in (0.012345, 5.0, 999.4, 1560.4, -2000.0)] == [
        "0.0123",
        "5",
        "999",
        "1560",
        "-2000",
    ]
    fast, slow = (panel_of(*arm("on", {1: seconds})).groups[0] for seconds in (0.01, 1000.0))
    assert (rate(fast), rate(slow)) == ("1000.0", "0.01")


def test_the_values_are_said_with_their_unit() -> None:
    panel = panel_of(*arm("off", {1: 1.0, 2: 2.0}), *arm("on", {1: 0.5}))
    series = arm_series(panel, lambda group: group.median_s)
    assert said(panel, series, " s") == "off: 1 1 s, 2 2 s; on: 1 0.5 s"
