"""The whole report: what stands in it, in which order, whatever is missing."""

import time
from dataclasses import replace

import pytest

from mps_experiments.record.measurement import Measurement
from mps_experiments.record.verdict import Verdict
from mps_experiments.report.content import Block, Bullets, Heading, Paragraph, Table
from mps_experiments.report.html import to_html
from mps_experiments.report.markdown import to_markdown
from mps_experiments.report.report_page import Subject, description, report_page
from tests.fault_records import alone, faulty_run
from tests.hostile_texts import HOSTILE, SCRIPT
from tests.records import INVALID, MACHINE, SKIPPED, make_measurement
from tests.report_panels import CPU_ONLY, OTHER_MACHINE, arm, full_sweep, subject_of


def sections(*measurements: Measurement) -> list[str]:
    return [block.text for block in blocks(*measurements) if isinstance(block, Heading) and block.level == 2]


def blocks(*measurements: Measurement) -> tuple[Block, ...]:
    return report_page(subject_of(*measurements)).blocks


def test_the_machine_comes_first_then_the_answer() -> None:
    first, second, third, *_ = blocks(*full_sweep())
    assert isinstance(first, Paragraph)
    assert first.text.startswith("Machine: NVIDIA H100 (80 GiB, GPU-1), driver 580.1; a CPU")
    assert second == Heading(text="The answer")
    assert isinstance(third, Paragraph)
    assert third.strong
    assert third.text.startswith("4 replicas under MPS: 307.7 images/s, 3.08 times one process")


def test_the_sections_stand_in_the_order_in_which_they_are_needed() -> None:
    assert sections(*full_sweep()) == [
        "The answer",
        "Tables and charts",
        "Why not more",
        "What has no number, and what to read with care",
        "Reproduce",
        "How to read this",
    ]


def test_the_title_names_models_and_days() -> None:
    day_s = 86_400.0
    run = make_measurement()
    title = report_page(subject_of(run)).title
    date = time.strftime("%Y-%m-%d", time.localtime(run.started_at))
    assert title == f"Processes on one GPU: maskrcnn_resnet50_fpn, {date}"
    on_cpu = report_page(subject_of(make_measurement(machine=CPU_ONLY))).title
    assert on_cpu == f"Processes on the CPU: maskrcnn_resnet50_fpn, {date}"
    later = replace(
        make_measurement("b", model="resnet50"), started_at=run.started_at + 3 * day_s, name="another"
    )
    both = report_page(subject_of(later, run)).title
    assert "resnet50, maskrcnn_resnet50_fpn" in both
    assert f"{date} to " in both


def test_two_machines_stand_side_by_side() -> None:
    runs = [
        *arm("on", {1: 1.0, 2: 1.5}),
        *arm("on", {1: 2.0, 2: 2.2}, machine=OTHER_MACHINE, record="other"),
    ]
    found = blocks(*runs)
    assert found[0] == Paragraph(text="2 machines:")
    assert isinstance(found[1], Bullets)
    assert [line[:6] for line in found[1].items] == ["A: NVI", "B: NVI"]
    assert sections(*runs)[:4] == [
        "The answer",
        "The machines side by side",
        "Tables and charts: maskrcnn_resnet50_fpn · machine A",
        "Tables and charts: maskrcnn_resnet50_fpn · machine B",
    ]
    machines = [block.text for block in found if isinstance(block, Heading) and block.level == 3]
    assert machines == ["Machine A · maskrcnn_resnet50_fpn", "Machine B · maskrcnn_resnet50_fpn"]
    (table,) = (block for block in found if isinstance(block, Table) and block.title == "Side by side")
    assert table.rows[1][1:] == (
        "1.50 s, ratio 1.50, gain 1.33, 13.3 images/s",
        "2.20 s, ratio 1.10, gain 1.82, 9.1 images/s",
    )


def test_a_fault_sweep_says_what_breaks() -> None:
    assert "What breaks" in sections(alone(), faulty_run("a"), faulty_run("b", mps="on"))
    found = blocks(faulty_run("a"))
    assert Paragraph(text="Only runs with a fault: what broke stands below.") in found
    assert "What breaks" in sections(faulty_run("a"))


def test_without_a_single_record_the_problems_are_told() -> None:
    page = report_page(Subject(runs=(), problems=("a.json is damaged",)))
    assert page.title == "Processes on one GPU: no runs"
    assert Paragraph(text="No record could be read: what is wrong with each stands below.") in page.blocks
    assert Bullets(items=("a.json is damaged",)) in page.blocks
    assert not [block for block in page.blocks if isinstance(block, Heading) and block.text == "Reproduce"]


@pytest.mark.parametrize("verdict", [INVALID, SKIPPED])
def test_without_a_valid_run_no_number_is_told_but_every_reason_is(verdict: Verdict) -> None:
    runs = [make_measurement(str(n), procs=n, makespan_s=123.456, verdict=verdict) for n in (1, 2)]
    html = to_html(report_page(subject_of(*runs)))
    assert "nothing can be said about packing" in html
    assert "123.4" not in html
    assert "<svg" not in html
    assert html.count("worker 1 was killed" if verdict is INVALID else "needs an NVIDIA GPU") >= 2


def test_a_run_that_is_not_valid_leaves_no_number_anywhere() -> None:
    valid = full_sweep()
    bad = make_measurement("bad", mps="on", procs=8, times=100, makespan_s=777.25, verdict=INVALID)
    page = report_page(subject_of(*valid, bad))
    for text in (to_html(page), to_markdown(page, "figures"), description(subject_of(*valid, bad), True)):
        assert "777" not in text
        assert "worker 1 was killed by SIGKILL" in text


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:20]))
def test_a_hostile_record_runs_nothing_and_breaks_nothing(text: str) -> None:
    hostile = replace(
        make_measurement("a", verdict=replace(INVALID, reason=text), model=text),
        name=text,
        overrides=(text,),
        machine=replace(MACHINE, hostname=text, cpu=text, git_commit=text),
    )
    page = report_page(subject_of(hostile, make_measurement(), commands=(text,), problems=(text,)))
    assert SCRIPT not in to_html(page)
    assert "<img src=x" not in to_html(page)
    assert to_markdown(page, "figures").startswith("# Processes on one GPU: ")


def test_the_description_has_answer_and_tables_and_no_picture() -> None:
    text = description(subject_of(*full_sweep(), faulty_run("a")), has_page=True)
    assert text.startswith("**4 replicas under MPS: 307.7 images/s, 3.08 times one process")
    assert "**MPS ON · maskrcnn\\_resnet50\\_fpn · seconds per process**" in text
    assert "FAULTS" in text
    assert "![" not in text
    assert "report.html among the artifacts" in text
    assert "report.html" not in description(subject_of(*full_sweep()), has_page=False)
