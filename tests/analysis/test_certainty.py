"""What makes an answer doubtful, and what it could have shown."""

from dataclasses import replace
from typing import Any

import pytest

from mps_experiments.analysis.certainty import caveats, certainty_lines
from mps_experiments.record.findings import Finding, Severity
from mps_experiments.record.measurement import Measurement
from tests.records import INVALID, make_measurement
from tests.report_panels import arm, panel_of


def found(runs: list[Measurement], check: str, share: float) -> list[Measurement]:
    """The runs, the last one with a finding."""
    finding = Finding(check=check, severity=Severity.WARNING, text="text", value=share, limit=0.05)
    return [*runs[:-1], replace(runs[-1], findings=(finding,))]


def doubts(*runs: Measurement) -> str:
    return ", ".join(caveats(list(panel_of(*runs).arm("on").values())))


def lines(*runs: Measurement, **about: Any) -> list[str]:
    panel = replace(panel_of(*runs), **about)
    return list(certainty_lines(panel, {"on": panel.arm("on"), "off": panel.arm("off")}))


PAIR = arm("on", {1: 1.0, 2: 1.2})


@pytest.mark.parametrize(
    ("check", "share", "said"),
    [
        ("foreign_cpu", 0.48, "while others took up to 48 % of the workers' CPU cores"),
        ("foreign_gpu", 0.12, "while others took up to 12 % of the GPU"),
        ("gpu_work", 0.0, "GPU work not proved"),
        ("descendants", 0.0, "with more processes on the GPU than procs"),
        ("foreign_cpu", 0.06, ""),
        ("drift", 0.9, ""),
    ],
)
@pytest.mark.parametrize("order", [1, -1], ids=["of several", "of one"])
def test_what_others_took_and_whose_work_it_is_stands_in_the_answers_own_sentence(
    check: str, share: float, said: str, order: int
) -> None:
    assert doubts(*found(PAIR[::order], check, share)) == said


def test_others_on_the_gpu_are_told_of_old_records_too() -> None:
    contended = [PAIR[0], replace(PAIR[1], contended=("process 9 was on the GPU",))]
    assert doubts(*contended) == "on a GPU or with an MPS daemon that others used, too"


@pytest.mark.parametrize(
    ("makespans", "said"),
    [
        ({1: 1.0, 2: 1.0}, "1 block: the intervals are rough. Add repeat=0,1,2,3 before"),
        ({1: (1.0, 1.0), 2: 1.0}, "1 block: "),
        ({1: (1.0,) * 3, 2: (1.0,) * 3}, "3 blocks: "),
        ({1: (1.0,) * 4, 2: (1.0,) * 4}, "The smallest difference that this could have shown"),
    ],
)
def test_the_number_of_blocks_is_said_unless_it_is_enough(makespans: Any, said: str) -> None:
    assert lines(*arm("on", makespans))[0].startswith(said)


def test_one_block_of_short_windows_says_what_an_interval_needs() -> None:
    (said,) = lines(*arm("on", {1: 1.0, 2: 1.0}, times=2))
    assert said.startswith("1 block: no interval: it needs 8 iterations of each process")


def test_two_equal_runs_tell_the_smallest_difference_that_could_have_shown() -> None:
    (twin,) = arm("on", {1: 1.1}, record="twin", twin=1)
    assert lines(*PAIR, twin)[1] == (
        "The smallest difference that this could have shown in every comparison is 10.0 %; "
        "two equal runs (A/A) differed by 10.0 %."
    )
    assert lines(*PAIR, replace(twin, verdict=INVALID))[1].startswith(
        "How much two equal runs (A/A) differ is not"
    )
    assert len(lines(*PAIR)) == 1  # one block without them tells nothing of it


def test_comparisons_without_an_interval_are_counted() -> None:
    cells = [*arm("on", {1: (1.0, 1.0), 2: (1.0, 1.2)}), *arm("on", {4: 1.0}, times=10)]
    short = replace(cells[-1], workers=make_measurement(procs=4, times=2).workers)
    assert lines(*cells[:-1], short)[1] == (
        "The smallest difference that this could have shown in every comparison that has an interval "
        "(1 of 2 has none) is 20.0 %."
    )
    (twin,) = arm("on", {1: 1.1}, record="twin", twin=1, times=2)
    assert lines(*arm("on", {1: 1.0, 2: 1.2}, times=2), twin)[1] == (
        "No comparison has an interval; two equal runs (A/A) differed by 10.0 %."
    )


def test_comparisons_that_stayed_open_under_a_precision_are_named() -> None:
    cells = {1: (1.0,) * 4, 2: (1.0, 1.2, 1.3, 1.1), 4: (1.0,) * 4}
    panel = replace(panel_of(*arm("on", cells)), precision=0.05)
    found = list(certainty_lines(panel, {"on": panel.arm("on"), "off": {}}))
    assert found[-1] == "Not within precision=0.05: mps=on: procs=2 over procs=1 (±19.7 %)."
    assert not any("precision" in line for line in lines(*arm("on", cells)))


def test_the_precision_of_a_record_that_was_taken_over_is_not_this_sweeps() -> None:
    runs = arm("on", {1: (1.0,) * 4, 2: (1.0, 1.2, 1.3, 1.1)})
    taken_over = [replace(run, sweep_id="before", config={"precision": 0.05}) for run in runs]
    assert not any("precision" in line for line in lines(*taken_over))


def test_the_tail_of_a_fixed_window_is_told() -> None:
    runs = arm("on", {1: (1.0,) * 4, 2: (1.1,) * 4})
    (said,) = [text for text in lines(*found(runs, "common_window", 0.62)) if "window=fixed" in text]
    assert said == (
        "window=fixed: in 1 of 4 runs of several processes one finished early, at the earliest "
        "after 62 % of the makespan. Throughput, latency and gain are partly those of fewer processes."
    )
    assert not any("window=fixed" in text for text in lines(*runs))


def test_without_valid_runs_nothing_is_said() -> None:
    panel = panel_of(*PAIR)
    assert list(certainty_lines(panel, {"on": {}, "off": {}})) == []


@pytest.mark.parametrize(
    ("procs", "about", "todo"),
    [
        ((1, 2), {}, " Add repeat=0,1,2,3 before you act on it."),
        ((1, 2), {"precision": 0.05}, " Raise budget_min for more blocks."),
        ((2, 4), {"precision": 0.05}, ""),
        ((1, 2), {"precision": 0.05, "is_cut_off": True}, " The sweep was cut off before its end."),
        ((1, 2), {"is_cut_off": True}, " The sweep was cut off before its end."),
    ],
)
def test_what_to_do_about_few_blocks_fits_the_sweep(
    procs: tuple[int, ...], about: dict[str, Any], todo: str
) -> None:
    said = lines(*arm("on", dict.fromkeys(procs, (1.0, 1.0))), **about)[0]
    assert said == f"2 blocks: the intervals are rough.{todo}"
