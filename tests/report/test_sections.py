"""The sections of a report."""

from dataclasses import replace
from pathlib import Path

from mps_experiments.analysis.machines import Machines
from mps_experiments.analysis.panels import panels
from mps_experiments.analysis.runs import ReportRun
from mps_experiments.record.measurement import Measurement
from mps_experiments.report import sections
from mps_experiments.report.content import (
    Block,
    Bullets,
    Code,
    Heading,
    Paragraph,
    SideBySide,
    Table,
)
from mps_experiments.report.drawing import Chart
from tests.fault_records import NOT_APPLICABLE, faulty_run
from tests.records import INVALID, SKIPPED, make_measurement
from tests.report_panels import OTHER_MACHINE, arm, as_runs, full_sweep, panel_of, warned


def headings(blocks: list[Block]) -> list[tuple[int, str]]:
    return [(block.level, block.text) for block in blocks if isinstance(block, Heading)]


def items(blocks: list[Block]) -> list[str]:
    return [item for block in blocks if isinstance(block, Bullets) for item in block.items]


def codes(blocks: list[Block]) -> list[str]:
    return [block.text for block in blocks if isinstance(block, Code)]


def test_one_panel_answers_without_a_heading_and_several_with_theirs() -> None:
    one = list(sections.answer_section([panel_of(*full_sweep())]))
    assert headings(one) == []
    assert isinstance(one[0], Paragraph)
    assert one[0].strong
    runs = [*arm("off", {1: 1.0, 2: 2.0}), *arm("off", {1: 1.0}, model="resnet50", record="b")]
    several = list(sections.answer_section(panels(as_runs(runs))))
    assert headings(several) == [(3, "maskrcnn_resnet50_fpn"), (3, "resnet50")]


def titles(measurements: list[Measurement]) -> list[str]:
    blocks = sections.table_section(panel_of(*measurements))
    return [block.title for block in blocks if isinstance(block, Table)]


def test_each_mps_state_has_a_table_and_one_table_has_all_figures() -> None:
    assert titles(full_sweep()) == [
        "MPS OFF · maskrcnn_resnet50_fpn · seconds per process",
        "MPS ON · maskrcnn_resnet50_fpn · seconds per process",
        "All figures · maskrcnn_resnet50_fpn",
    ]


def test_without_a_valid_run_there_is_no_table_of_figures() -> None:
    assert not [each for each in titles([make_measurement(verdict=INVALID)]) if "All figures" in each]


def test_charts_stand_side_by_side_and_what_is_missing_is_said() -> None:
    blocks = list(sections.chart_section(panel_of(*arm("on", {1: 1.0, 2: 1.1})), ""))
    (grid,) = (block for block in blocks if isinstance(block, SideBySide))
    assert [each.name for each in grid.charts] == [
        "ratio",
        "throughput",
        "latency",
    ]
    missing = items(blocks)
    assert len(missing) == 5
    assert missing[-1].startswith('No chart "Timeline of the workers": needs the timeline.png')


def with_timelines(folder: Path) -> list[ReportRun]:
    """All runs of a sweep, each with a picture."""
    runs = []
    for run in full_sweep():
        place = folder / run.record_id
        place.mkdir()
        (place / "timeline.png").write_bytes(run.record_id.encode())
        runs.append(ReportRun.of(run, place))
    return runs


def test_timelines_are_of_the_fewest_and_the_most_workers_of_both_arms(tmp_path: Path) -> None:
    (panel,) = panels(with_timelines(tmp_path))
    pictures = [b for b in sections.chart_section(panel, "3-") if isinstance(b, Chart)]
    assert [each.name for each in pictures] == [
        "3-timeline-mps-off-procs-2",
        "3-timeline-mps-on-procs-2",
        "3-timeline-mps-off-procs-4",
        "3-timeline-mps-on-procs-4",
    ]
    assert pictures[0].png.startswith(b"off-2")
    assert "a lane for each worker" in pictures[0].alt


def test_causes_have_a_section_only_if_there_are_some() -> None:
    blocks = list(sections.why_section([panel_of(*full_sweep())], Machines.of(full_sweep())))
    assert headings(blocks) == [(2, "Why not more")]
    assert len(items(blocks)) == 4
    alone = arm("off", {1: 1.0})
    assert list(sections.why_section([panel_of(*alone)], Machines.of(alone))) == []


def test_faults_have_a_section_only_if_there_are_some() -> None:
    runs = [faulty_run("a"), faulty_run("b", mps="on", verdict=NOT_APPLICABLE)]
    blocks = list(sections.fault_section(runs, Machines.of(runs)))
    assert headings(blocks) == [(2, "What breaks")]
    assert isinstance(blocks[2], Table)
    assert list(sections.fault_section(full_sweep(), Machines.of(full_sweep()))) == []


def test_what_has_no_number_is_listed_with_its_reason() -> None:
    runs = [
        make_measurement("1"),
        make_measurement("2", procs=2, verdict=INVALID),
        make_measurement("3", mps="on", verdict=SKIPPED),
        warned(make_measurement("4"), "power_cap", "the power limit lowered the clock"),
        warned(make_measurement("5"), "drift", "worker 0 became slower"),
    ]
    blocks = list(sections.missing_section(runs, ["a.json is damaged"], Machines.of(runs)))
    assert blocks[1] == Paragraph(text="3 VALID, 1 INVALID, 1 SKIPPED.")
    assert headings(blocks)[1:] == [(3, "Warnings"), (3, "Records that cannot be read")]
    assert items(blocks) == [
        "mps=off procs=2 times=2: INVALID: worker 1 was killed by SIGKILL",
        "mps=on procs=1 times=2: SKIPPED: MPS needs an NVIDIA GPU",
        "mps=off procs=1 times=2: power_cap: the power limit lowered the clock",
        "a.json is damaged",
    ]
    assert Paragraph(text="noise in 3 runs: drift in 1; no interval includes it.") in blocks


def test_a_long_list_is_cut_and_says_so() -> None:
    runs = [make_measurement(str(n), times=n + 1, verdict=INVALID) for n in range(1060)]
    found = items(list(sections.missing_section(runs, [], Machines.of(runs))))
    assert len(found) == 1001
    assert found[-1] == "... and 60 more"


def test_of_several_machines_each_number_is_said_with_its_machine() -> None:
    runs = [*full_sweep(), make_measurement("bad", procs=2, verdict=INVALID, machine=OTHER_MACHINE)]
    machines = Machines.of(runs)
    assert items(list(sections.missing_section(runs, [], machines)))[0].startswith(
        "machine B: mps=off procs=2"
    )
    causes = items(list(sections.why_section(panels(as_runs(runs)), machines)))
    assert causes
    assert all(text.startswith("machine A: mps=") for text in causes)
    faults = [faulty_run("a"), replace(faulty_run("b"), machine=OTHER_MACHINE)]
    blocks = list(sections.fault_section(faults, Machines.of(faults)))
    assert headings(blocks) == [(2, "What breaks"), (3, "Machine A"), (3, "Machine B")]


def test_the_commands_can_be_typed_as_they_stand() -> None:
    run = replace(make_measurement(), overrides=("mps=on", "workload.input=[a.jpg,my photo.jpg]"))
    blocks = list(sections.reproduce_section([run, run], ["python -m mps_experiments -m mps=on,off"]))
    assert codes(blocks)[0] == "python -m mps_experiments -m mps=on,off"
    assert codes(blocks)[-1] == "python -m mps_experiments mps=on 'workload.input=[a.jpg,my photo.jpg]'"
    assert "mps_experiments 0.1.0, commit c0ffee." in str(blocks)


def test_the_words_are_explained() -> None:
    found = items(list(sections.reading_section()))
    assert [line.partition(":")[0] for line in found[:4]] == ["makespan", "ratio", "throughput", "gain"]
    assert any("90 %" in line for line in found)
