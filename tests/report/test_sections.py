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
    Details,
    Heading,
    Paragraph,
    SideBySide,
    Table,
)
from mps_experiments.report.drawing import Chart
from tests.fault_records import NOT_APPLICABLE, faulty_run
from tests.records import INVALID, SKIPPED, make_measurement
from tests.report_panels import OTHER_MACHINE, arm, as_runs, full_sweep, panel_of, warned


def unfolded(blocks: list[Block]) -> list[Block]:
    """All blocks, also those that are folded, and the parts that stand side by side."""
    return [
        inner
        for block in blocks
        for inner in (unfolded(list(block.blocks)) if isinstance(block, Details | SideBySide) else [block])
    ]


def folded(blocks: list[Block]) -> list[str]:
    return [block.summary for block in blocks if isinstance(block, Details)]


def headings(blocks: list[Block]) -> list[tuple[int, str]]:
    return [(block.level, block.text) for block in blocks if isinstance(block, Heading)]


def items(blocks: list[Block]) -> list[str]:
    return [item for block in unfolded(blocks) if isinstance(block, Bullets) for item in block.items]


def test_one_decision_has_its_details_in_sight_and_several_have_names_and_fold_theirs() -> None:
    one = list(sections.decision_section([panel_of(*full_sweep())]))
    assert isinstance(one[0], Paragraph)
    assert one[0].strong
    assert (headings(one), folded(one)) == ([], [])
    runs = [*arm("off", {1: 1.0, 2: 2.0}), *arm("off", {1: 1.0}, model="resnet50", record="b")]
    several = list(sections.decision_section(panels(as_runs(runs))))
    assert headings(several) == [(3, "maskrcnn_resnet50_fpn"), (3, "resnet50")]
    assert len(folded(several)) == 2


def test_a_panel_has_charts_then_one_table_then_why() -> None:
    blocks = list(sections.panel_section(panel_of(*full_sweep()), "2-"))
    grid, table, heading, why, details = blocks
    assert isinstance(grid, SideBySide)
    assert [each.name for each in unfolded([grid]) if isinstance(each, Chart)] == [
        "2-throughput",
        "2-ratio",
        "2-throughput-over-latency",
    ]
    assert isinstance(table, Table)
    assert "4 · MPS on (best)" in [row[0] for row in table.rows]
    assert heading == Heading(text="Why not more", level=3)
    assert [type(each) for each in unfolded([why])] == [Chart, Table]
    assert len(items([details])) == 4


def test_a_panel_without_several_cells_has_a_table_only() -> None:
    (table,) = sections.panel_section(panel_of(*arm("off", {1: 1.0})), "")
    assert isinstance(table, Table)


def test_best_and_knee_are_those_of_the_decision() -> None:
    runs = arm("on", {1: 1.0, 2: 1.05, 4: 2.1, 8: 4.0})
    assert sections.roles(panel_of(*runs)) == {"on-8-0-": "best", "on-2-0-": "knee"}
    assert sections.roles(panel_of(*arm("on", {1: 1.0}))) == {}


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
    *_, details = sections.panel_section(panel, "3-")
    pictures = [each for each in unfolded([details]) if isinstance(each, Chart)]
    assert [each.name for each in pictures] == [f"3-timeline-{number}" for number in (1, 2, 3, 4)]
    assert [each.png for each in pictures] == [b"off-2", b"off-4", b"on-2", b"on-4"]
    assert all("a lane for each worker" in each.alt for each in pictures)


def test_faults_have_a_matrix_for_each_machine_and_the_rest_is_folded() -> None:
    runs = [faulty_run("a"), faulty_run("b", mps="on", verdict=NOT_APPLICABLE)]
    blocks = list(sections.fault_section(runs, Machines.of(runs)))
    assert headings(blocks) == [(2, "What breaks")]
    assert sum(isinstance(block, Table) for block in blocks) == 1
    assert len(folded(blocks)) == 1
    two = [faulty_run("a"), replace(faulty_run("b"), machine=OTHER_MACHINE)]
    assert headings(list(sections.fault_section(two, Machines.of(two)))) == [
        (2, "What breaks · machine A"),
        (2, "What breaks · machine B"),
    ]
    assert list(sections.fault_section(full_sweep(), Machines.of(full_sweep()))) == []


def care(runs: list[Measurement], *problems: str) -> list[Block]:
    return list(sections.care_section(runs, problems, Machines.of(runs)))


def test_what_has_no_number_is_folded_with_each_reason_once() -> None:
    runs = [
        make_measurement("1"),
        make_measurement("2", procs=2, verdict=INVALID),
        make_measurement("3", procs=2, repeat=1, verdict=INVALID),
        make_measurement("4", mps="on", verdict=SKIPPED),
        warned(make_measurement("5"), "power_cap", "the power limit lowered the clock"),
        warned(make_measurement("6"), "drift", "worker 0 became slower"),
    ]
    blocks = care(runs, "a.json is damaged")
    assert headings(blocks) == [(2, "Records that cannot be read")]
    assert Paragraph(text="3 VALID, 2 INVALID, 1 SKIPPED.") in blocks
    assert folded(blocks) == ["Without a number: 3 of 6 runs", "Warnings and noise: 2"]
    assert items(blocks) == [
        "a.json is damaged",
        "mps=off procs=2 times=2: INVALID: worker 1 was killed by SIGKILL",
        "mps=on procs=1 times=2: SKIPPED: MPS needs an NVIDIA GPU",
        "warning: power_cap in mps=off procs=1 times=2: the power limit lowered the clock",
        "noise in 3 runs: drift in 1; no interval includes it",
    ]
    assert care([make_measurement()]) == [Paragraph(text="1 VALID, 0 INVALID, 0 SKIPPED.")]


def test_a_long_list_is_cut_and_says_so() -> None:
    runs = [make_measurement(str(n), times=n + 1, verdict=INVALID) for n in range(1060)]
    found = items(care(runs))
    assert len(found) == 1001
    assert found[-1] == "... and 60 more"


def test_of_several_machines_each_reason_is_said_with_its_machine() -> None:
    runs = [*full_sweep(), make_measurement("bad", procs=2, verdict=INVALID, machine=OTHER_MACHINE)]
    assert items(care(runs))[0].startswith("machine B: mps=off procs=2")


def test_the_commands_can_be_typed_as_they_stand() -> None:
    run = replace(make_measurement(), overrides=("mps=on", "workload.input=[a.jpg,my photo.jpg]"))
    again = replace(run, overrides=(*run.overrides, "repeat=1"))
    blocks = list(sections.reproduce_section([run, again], ["python -m mps_experiments -m mps=on,off"]))
    assert folded(blocks) == ["Commands"]
    codes = [block.text for block in unfolded(blocks) if isinstance(block, Code)]
    assert codes[0] == "python -m mps_experiments -m mps=on,off"
    assert codes[-1] == "python -m mps_experiments mps=on 'workload.input=[a.jpg,my photo.jpg]'"
    assert "mps_experiments 0.1.0, commit c0ffee." in str(blocks)


def test_the_words_are_explained() -> None:
    found = items(list(sections.reading_section()))
    assert {"throughput", "gain", "ratio", "makespan", "best"} <= {line.partition(":")[0] for line in found}
    assert any("90 %" in line for line in found)
