"""The whole report: what stands in it, in which order, whatever is missing."""

import re
import time
from dataclasses import replace

import pytest

from mps_experiments.record.measurement import Measurement
from mps_experiments.record.verdict import Verdict
from mps_experiments.report.content import Block, Bullets, Details, Heading, Paragraph
from mps_experiments.report.markdown import to_markdown
from mps_experiments.report.report_page import Subject, description, report_page
from mps_experiments.report.writing import to_html
from tests.fault_records import alone, faulty_run
from tests.hostile_texts import HOSTILE, SCRIPT
from tests.records import INVALID, MACHINE, SKIPPED, make_measurement
from tests.report_panels import CPU_ONLY, OTHER_MACHINE, arm, full_sweep, subject_of


def sections(*measurements: Measurement) -> list[str]:
    return [block.text for block in blocks(*measurements) if isinstance(block, Heading) and block.level == 2]


def blocks(*measurements: Measurement) -> tuple[Block, ...]:
    return report_page(subject_of(*measurements)).blocks


def folded(*measurements: Measurement) -> list[str]:
    return [block.summary for block in blocks(*measurements) if isinstance(block, Details)]


def test_the_decision_comes_first_and_what_is_rarely_wanted_is_folded() -> None:
    first, second, *_ = blocks(*full_sweep())
    assert first == Heading(text="The decision")
    assert isinstance(second, Paragraph)
    assert second.strong
    assert sections(*full_sweep()) == ["The decision"]
    assert folded(*full_sweep()) == ["Each cause with its figures", "Commands", "Machine", "How to read this"]


def test_a_search_says_what_it_decided_and_leaves_its_pilot_run_out() -> None:
    pilot = arm("off", {1: 1.0}, seed=7, record="pilot")
    decided = ("USE procs=2 mps=on: 9/s", "not settled: procs=1")
    first, used, more, rest, *_ = report_page(subject_of(*pilot, *full_sweep(), decided=decided)).blocks
    assert first == Heading(text="The decision")
    assert used == Paragraph(text=decided[0], strong=True)
    assert more == Bullets(items=decided[1:])
    assert isinstance(rest, Details)
    assert not any(isinstance(block, Heading) for block in rest.blocks)  # one panel


def test_the_title_names_gpu_models_and_days() -> None:
    def title(*runs: Measurement) -> str:
        return report_page(subject_of(*runs)).title

    run = make_measurement()
    date = time.strftime("%Y-%m-%d", time.localtime(run.started_at))
    assert title(run) == f"Processes on one NVIDIA H100: maskrcnn_resnet50_fpn, {date}"
    on_cpu = make_measurement(machine=CPU_ONLY)
    assert title(on_cpu) == f"Processes on the CPU: maskrcnn_resnet50_fpn, {date}"
    assert title(run, on_cpu).startswith("Processes on several machines: ")
    later = replace(make_measurement("b", model="resnet50"), started_at=run.started_at + 3 * 86_400.0)
    assert "resnet50, maskrcnn_resnet50_fpn" in title(later, run)
    assert f"{date} to " in title(later, run)


def test_two_machines_follow_one_another() -> None:
    runs = [
        *arm("on", {1: 1.0, 2: 1.5}),
        *arm("on", {1: 2.0, 2: 2.2}, machine=OTHER_MACHINE, record="other"),
    ]
    found = blocks(*runs)
    assert sections(*runs) == [
        "The decision",
        "maskrcnn_resnet50_fpn · machine A",
        "maskrcnn_resnet50_fpn · machine B",
    ]
    machines = [block.text for block in found if isinstance(block, Heading) and block.level == 3]
    assert machines[:2] == [
        "Machine A, NVIDIA H100 · maskrcnn_resnet50_fpn",
        "Machine B, NVIDIA A100 · maskrcnn_resnet50_fpn",
    ]
    (details,) = (block for block in found if isinstance(block, Details) and block.summary == "Machines")
    assert "A: NVIDIA H100 (80 GiB, GPU-1), driver 580.1; a CPU" in str(details)


def test_a_fault_sweep_begins_with_what_breaks() -> None:
    assert sections(alone(), faulty_run("a"), faulty_run("b", mps="on")) == ["What breaks"]
    assert sections(*full_sweep(), faulty_run("a")) == ["What breaks", "The decision"]


def test_without_a_single_record_the_problems_are_told() -> None:
    page = report_page(Subject(runs=(), problems=("a.json is damaged",)))
    assert page.title == "No runs"
    assert Bullets(items=("a.json is damaged",)) in page.blocks
    assert "Commands" not in str(page)


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
        assert "777" not in re.sub(r"<svg.*?</svg>", "", text, flags=re.DOTALL)
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
    assert to_markdown(page, "figures").startswith("# Processes on one NVIDIA H100: ")


def test_the_description_has_decision_and_tables_and_no_picture() -> None:
    text = description(subject_of(*full_sweep(), faulty_run("a")), has_page=True)
    assert text.startswith("**")
    assert "| processes | images/s | gain |" in text
    assert "| fault | MPS off |" in text
    assert "![" not in text
    assert "report.html among the artifacts" in text
    assert "report.html" not in description(subject_of(*full_sweep()), has_page=False)
