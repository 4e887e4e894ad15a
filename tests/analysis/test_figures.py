"""Series over the number of processes."""

from mps_experiments.analysis.figures import arm_series, said
from tests.report_panels import CPU_ONLY, arm, panel_of


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


def test_the_values_are_said_with_their_unit() -> None:
    panel = panel_of(*arm("off", {1: 1.0, 2: 2.0}), *arm("on", {1: 0.5}))
    series = arm_series(panel, lambda group: group.median_s)
    assert said(panel, series, " s") == "off: 1 1 s, 2 2 s; on: 1 0.5 s"
