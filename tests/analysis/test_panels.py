"""What belongs together, what is told apart, and which runs stand in one chart."""

from dataclasses import replace

import pytest

from mps_experiments.analysis.answer import answer
from mps_experiments.analysis.panels import panels
from tests.fault_records import faulty_run
from tests.records import INVALID, MACHINE, make_measurement
from tests.report_panels import OTHER_MACHINE, arm, as_runs, panel_of


def test_mps_procs_times_and_repeat_are_of_one_panel() -> None:
    runs = [*arm("off", {1: (1.0, 1.1), 2: 2.0}), *arm("on", {1: 1.0}, times=50, record="long")]
    panel = panel_of(*runs)
    assert len(panel.runs) == 4
    assert panel.title == "maskrcnn_resnet50_fpn"


def test_models_and_machines_have_panels_of_their_own() -> None:
    runs = [
        *arm("off", {1: 1.0}),
        *arm("off", {1: 1.0}, model="resnet50", record="other model"),
        *arm("off", {1: 1.0}, machine=OTHER_MACHINE, record="other machine"),
    ]
    found = panels(as_runs(runs))
    assert [panel.first.machine.hostname for panel in found] == ["host", "host", "other"]
    assert [panel.title for panel in found] == [
        "maskrcnn_resnet50_fpn",
        "resnet50",
        "maskrcnn_resnet50_fpn",
    ]


def test_what_leaves_nothing_to_choose_comes_last() -> None:
    runs = [*arm("off", {1: 1.0}, seed=7, record="seven"), *arm("off", {1: 1.0, 2: 2.0})]
    assert [len(panel.groups) for panel in panels(as_runs(runs))] == [2, 1]


def test_a_panel_is_named_by_what_the_sweep_varied() -> None:
    run = make_measurement()
    named = replace(run, varied=("repeat=0", "workers.start_method=spawn"))
    assert panel_of(named).title == "maskrcnn_resnet50_fpn · workers.start_method=spawn"


def test_panels_of_one_name_are_told_apart_by_what_they_differ_in() -> None:
    runs = [*arm("off", {1: 1.0}), *arm("off", {1: 1.0}, seed=7, record="seven")]
    assert [panel.varied for panel in panels(as_runs(runs))] == ["seed 0", "seed 7"]


def test_the_longest_times_with_several_processes_are_shown() -> None:
    runs = [
        *arm("off", {1: 1.0, 2: 2.0}, times=50, record="a"),
        *arm("off", {1: 1.0, 2: 2.0}, times=100, record="b"),
        *arm("off", {1: 1.0}, times=200, record="c"),
    ]
    panel = panel_of(*runs)
    assert panel.times == 100
    assert [group.first.cell.times for group in panel.arm("off").values()] == [100, 100]
    assert panel_of(*arm("off", {1: 1.0}, times=200)).times == 200


def test_an_arm_is_ascending_and_has_valid_runs_only() -> None:
    runs = arm("on", {8: 1.0, 1: 1.0, 2: (1.0, 1.0)})
    bad = replace(arm("on", {4: 1.0})[0], verdict=INVALID)
    panel = panel_of(*runs, bad)
    assert list(panel.arm("on")) == [1, 2, 8]
    assert len(panel.arm("on")[2]) == 2
    assert panel.arm("off") == {}


@pytest.mark.parametrize("most_first", [True, False])
def test_the_setting_with_the_most_cells_stands_in_the_charts_and_others_are_named(most_first: bool) -> None:
    other = replace(MACHINE, environment={"OMP_NUM_THREADS": "8"})
    several = arm("on", {1: 1.0, 2: 1.1})
    few = arm("on", {2: 9.0}, machine=other, record="few")
    panel = panel_of(*(several + few if most_first else few + several))
    assert panel.arm("on")[2].median_s == pytest.approx(1.1)
    assert len(panel.left_out) == 1
    assert "OMP_NUM_THREADS" in panel.left_out[0]


def test_the_answer_rests_on_runs_of_one_times_and_setting_equal_runs_included() -> None:
    runs = arm("on", {1: 1.0, 2: 1.1})
    twin = replace(runs[0], record_id="twin", cell=runs[0].cell.moved(twin=1))
    other = arm("on", {1: 1.0}, times=3)
    panel = panel_of(*runs, twin, *other)
    assert [m.record_id for m in panel.answered] == ["on-1-0-", "on-2-0-", "twin"]
    assert [group.first.record_id for group in panel.arm("on").values()] == ["on-1-0-", "on-2-0-"]


def test_workloads_of_ones_own_are_told_by_their_options() -> None:
    runs = [make_measurement(kind, model="mine:build", options={"kind": kind}) for kind in ("a", "b")]
    assert [panel.title for panel in panels(as_runs(runs))] == ["mine:build · kind=a", "mine:build · kind=b"]


def test_options_that_the_sweep_varied_are_named_once() -> None:
    run = make_measurement("a", model="mine:build", options={"kind": "a"})
    named = replace(run, varied=("+workload.options.kind=a",))
    (panel,) = panels(as_runs([named]))
    assert panel.title == "mine:build · +workload.options.kind=a"


def test_one_process_runs_that_only_faults_need_are_no_panel() -> None:
    hit, alone = faulty_run("hit"), make_measurement("alone", times=4)
    assert panels(as_runs([hit, alone])) == []
    pair = make_measurement("two", procs=2, times=4)
    assert len(panels(as_runs([hit, alone, pair]))) == 1
    assert len(panels(as_runs([hit, replace(alone, sweep_id="another")]))) == 1


def test_another_factor_makes_strata_of_one_panel_and_their_answers_pool_nothing() -> None:
    runs = [*arm("on", {1: 1.0, 2: 1.0}), *arm("on", {1: 2.0, 2: 3.0}, batch=4, record="4")]
    (panel,) = panels(as_runs(runs))
    one, four = panel.strata
    assert (panel.title, four.title) == ("maskrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn · workload.batch=4")
    assert [group.throughput_median_per_s for group in one.arm("on").values()] == pytest.approx([10, 20])
    assert [group.throughput_median_per_s for group in four.arm("on").values()] == pytest.approx([20, 80 / 3])
    assert "2.00 times one process" in answer(one).headline
    assert "1.33 times one process" in answer(four).headline
    assert one.strata == (one,)


def test_one_unusual_value_of_a_factor_is_in_the_title() -> None:
    assert panel_of(*arm("on", {1: 1.0}, batch=8)).title == "maskrcnn_resnet50_fpn · workload.batch=8"
