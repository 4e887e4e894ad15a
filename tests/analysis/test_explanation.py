"""Why N processes take longer than one: the cause, and that each figure in the text is one of the record."""

import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mps_experiments.analysis.comparison import Ratio
from mps_experiments.analysis.explanation import Explanation, explain, explanations
from mps_experiments.analysis.gpu_limits import Cause
from mps_experiments.record.measurement import Measurement
from tests.evidence_records import (
    make_activity,
    traced_run,
    with_core_waits,
    with_late_start,
    with_pinned_cores,
    with_telemetry,
)
from tests.records import INVALID, MACHINE, SKIPPED, make_measurement


def one(**parts: Any) -> Measurement:
    """One worker that needs the GPU for 4 of its 10 ms, and waits 0.5 ms for it to begin."""
    return traced_run("one", procs=1, **({"iteration_ms": 10.0, "running_ms": 4.0, "idle_ms": 0.5} | parts))


def full() -> Measurement:
    """One worker that needs the GPU for 9.5 of its 10 ms."""
    return one(running_ms=9.5, idle_ms=0.0)


def full_two(**values: Any) -> Measurement:
    """Two of these under MPS: operations take 5.5 ms longer and wait 2.5 ms behind the other's."""
    parts: dict[str, Any] = {"mps": "on", "iteration_ms": 18.0, "running_ms": 15.0, "behind_ms": 2.5}
    return traced_run(**(parts | values))


def explained(many: Measurement, alone: Measurement | None) -> Explanation:
    found = explain(many, alone)
    assert found is not None
    assert found.text.startswith(f"{found.cause}: ")
    return found


def test_free_concurrency_is_the_hosts_where_one_worker_leaves_the_gpu_idle() -> None:
    found = explained(traced_run(mps="on", iteration_ms=10.2, idle_ms=0.5, behind_ms=0.2), one())
    assert found.cause is Cause.HOST
    shown = (
        "2 processes take 1.02 times",
        "10.2 ms against 10 ms",
        "40 % of its time (4 ms of 10 ms)",
        "12.5 %",
    )
    assert [words for words in shown if words not in found.text] == []


@pytest.mark.parametrize(("running_ms", "cause"), [(7.9, Cause.HOST), (8.1, Cause.UNDECIDED)])
def test_a_free_run_is_not_the_hosts_where_one_worker_fills_the_gpu(running_ms: float, cause: Cause) -> None:
    alone = one(running_ms=running_ms, idle_ms=0.0)
    found = explained(traced_run(mps="on", iteration_ms=10.4, running_ms=running_ms), alone)
    assert found.cause is cause
    assert (
        f"One worker keeps the GPU busy {running_ms * 10:.0f} % of its time ({running_ms:g} ms of 10 ms)."
        in (found.text)
    )


@pytest.mark.parametrize(("iteration_ms", "cause"), [(9.4, Cause.UNDECIDED), (9.6, Cause.HOST)])
def test_several_processes_that_are_faster_than_one_show_a_slowed_one(
    iteration_ms: float, cause: Cause
) -> None:
    found = explained(traced_run(mps="on", iteration_ms=iteration_ms), one())
    assert found.cause is cause
    assert ("something else slowed the one-process run" in found.text) == (cause is Cause.UNDECIDED)


@pytest.mark.parametrize(
    ("running_ms", "fits"),
    [(5.1, None), (5.0, 2), (10 / 3, 3), (2.1, 4), (0.11, 90), (0.05, None), (0.0, None)],
)
def test_how_many_workers_fit_is_told_where_it_is_a_number_to_go_by(
    running_ms: float, fits: int | None
) -> None:
    alone = one(running_ms=running_ms, idle_ms=0.0)
    text = explained(traced_run(mps="on", running_ms=running_ms), alone).text
    assert re.findall(r"so about (\d+) fit", text) == ([] if fits is None else [str(fits)])


def test_time_slices_show_as_waiting_while_nothing_and_while_anothers_ran() -> None:
    many = traced_run(mps="off", iteration_ms=20.0, idle_ms=7.5, behind_ms=2.6, overlap=0.019)
    found = explained(many, one())
    assert found.cause is Cause.TIME_SLICED
    shown = (
        "2.00 times",
        "together in 1.9 %",
        "7.5 ms of an iteration (38 %)",
        "in 0.5 ms)",
        "in 2.6 ms (13 %)",
    )
    assert [words for words in shown if words not in found.text] == []


def test_operations_longer_than_a_slice_tell_no_overlap() -> None:
    many = traced_run(
        mps="off", iteration_ms=20.0, running_ms=19.0, idle_ms=0.5, busy=0.97, overlap=0.93, long=0.9
    )
    found = explained(many, full())
    assert found.cause is Cause.TIME_SLICED
    shown = (
        "97 % of the time; 90 % of their time is in operations over 1 ms",
        "operations took 9.5 ms longer",
    )
    assert [words for words in shown if words not in found.text] == []
    assert "together" not in found.text


def test_growth_of_the_hosts_part_is_host_limited_and_the_parts_are_told_the_largest_first() -> None:
    many = traced_run(mps="on", procs=4, iteration_ms=15.0, running_ms=4.5, idle_ms=2.0, behind_ms=0.5)
    found = explained(many, one())
    assert found.cause is Cause.HOST
    assert "grew by 5 ms: host (Python" in found.text
    assert re.findall(r"\+([\d.]+) ms", found.text) == ["2.5", "1.5", "0.5", "0.5"]


def test_without_mps_waiting_while_nothing_ran_is_not_the_hosts() -> None:
    """Host 5 ms, idle 5 ms: under MPS both are launching; without, the second may be a time slice."""
    parts: dict[str, Any] = {"iteration_ms": 20.0, "running_ms": 4.0, "idle_ms": 5.5}
    assert explained(traced_run(mps="on", **parts), one()).cause is Cause.HOST
    assert explained(traced_run(mps="off", **parts), one()).cause is Cause.UNDECIDED
    mostly_host = traced_run(mps="off", iteration_ms=20.0, running_ms=4.0, idle_ms=3.5)
    assert explained(mostly_host, one()).cause is Cause.HOST


@pytest.mark.parametrize(
    ("gpu", "cause"),
    [
        ({"sm_activity": 0.97, "dram_activity": 0.31}, Cause.MULTIPROCESSORS),
        ({"sm_activity": 0.97, "dram_activity": 0.85}, Cause.MEMORY),
        ({"sm_activity": 0.4, "dram_activity": 0.2}, Cause.CONTENTION),
        ({"memory_utilization": 0.5}, Cause.GPU),
    ],
)
def test_the_gpus_resource_is_the_cause_where_the_growth_is_on_the_gpu(
    gpu: dict[str, Any], cause: Cause
) -> None:
    found = explained(with_telemetry(full_two(), **gpu), full())
    assert found.cause is cause
    shown = (
        "1.80 times",
        "grew by 8 ms",
        "longer +5.5 ms",
        "operations +2.5 ms",
        "operations 14 % of its time",
    )
    assert [words for words in shown if words not in found.text] == []
    assert ("neither is used up" in found.text) == (cause is Cause.CONTENTION)


@pytest.mark.parametrize("mps", ["on", "off"])
def test_a_clock_held_down_by_the_power_limit_that_explains_the_growth_is_the_cause(mps: str) -> None:
    many = traced_run(mps=mps, iteration_ms=12.0, running_ms=11.3, behind_ms=0.3)
    found = explained(
        with_telemetry(many, capped=0.9, sm_clock_mhz=1650), with_telemetry(full(), sm_clock_mhz=1980)
    )
    assert found.cause is Cause.POWER
    assert "1.20 times as high with one process" in found.text
    assert "in 90 % of the readings" in found.text


def starved(*shares: float | None, mps: str = "on") -> Measurement:
    run = traced_run(mps=mps, procs=len(shares), iteration_ms=19.0, idle_ms=0.5)
    return with_pinned_cores(with_core_waits(run, *shares), 3)


@pytest.mark.parametrize("mps", ["on", "off"])
def test_workers_without_a_core_are_cpu_starved(mps: str) -> None:
    found = explained(starved(0.48, 0.48, mps=mps), with_core_waits(one(), 0.03))
    assert found.cause is Cause.CPU
    shown = (
        "1.90 times",
        "no CPU core for 48 % of its time (with one process 3 %)",
        "2 workers ran on 1 core.",
    )
    assert [words for words in shown if words not in found.text] == []


def test_the_wait_of_the_worker_that_ended_last_counts() -> None:
    """Two of five workers share a core: the makespan is theirs."""
    waits = (0.0, 0.0, 0.0, 0.5, 0.5)
    last = with_late_start(starved(*waits), 0.01)
    assert "no CPU core for 50 %" in explained(last, with_core_waits(one(), 0.0)).text
    first = with_late_start(starved(*waits[::-1]), 0.01)
    assert explained(first, with_core_waits(one(), 0.0)).cause is Cause.HOST


@pytest.mark.parametrize(
    ("many", "alone", "why"),
    [
        ((0.27, 0.27), 0.0, "5.1 of 9 ms: not most of it"),
        ((0.48, 0.48), 0.45, "it waited 4.5 ms alone, too"),
        ((None, None), 0.0, "the kernel does not tell"),
        ((0.48, 0.48), None, "nor of one process"),
    ],
)
def test_waits_that_do_not_explain_the_growth_are_no_cause(
    many: tuple[float | None, ...], alone: float | None, why: str
) -> None:
    found = explained(starved(*many), with_core_waits(one(), alone))
    assert found.cause is Cause.HOST, why
    assert "CPU core" not in found.text


def test_mixed_parts_are_left_undecided() -> None:
    many = traced_run(mps="on", iteration_ms=20.0, running_ms=8.0, behind_ms=1.0, idle_ms=1.0)
    assert explained(many, one()).cause is Cause.UNDECIDED


def test_without_a_partner_nothing_is_claimed() -> None:
    found = explained(full_two(), None)
    assert (found.cause, found.figures) == (Cause.UNDECIDED, {})
    assert found.text == "undecided: there is no comparable one-process run, so nothing is claimed."


@pytest.mark.parametrize("which", ["this run", "the one-process run"])
@pytest.mark.parametrize(
    ("change", "why"),
    [
        (
            {"missing": ("outputs: none", "traced pass: worker 1: CUPTI is busy"), "activity": None},
            "traced pass: worker 1: CUPTI is busy",
        ),
        ({"config": {"trace": {"iterations": 0}}, "activity": None}, "trace.iterations=0"),
        ({"config": {"trace": {"iterations": 3}}, "activity": None}, "its record holds none"),
        ({"config": {}, "activity": None}, "its record holds none"),
        ({"activity": make_activity(1, on_gpu=False)}, "the profiler saw only operators of the CPU"),
    ],
)
def test_without_a_traced_pass_nothing_is_claimed_and_why_it_is_missing_is_told(
    which: str, change: dict[str, Any], why: str
) -> None:
    many, alone = full_two(), full()
    if which == "this run":
        many = replace(many, **change)
    else:
        alone = replace(alone, **change)
    found = explained(many, alone)
    assert (found.cause, found.figures) == (Cause.UNDECIDED, {})
    assert found.text == f"undecided: {which} has no traced pass of the GPU ({why}), so nothing is claimed."


@pytest.mark.parametrize(
    "run",
    [
        full_two(machine=replace(MACHINE, gpu=None), device="cpu"),
        full(),
        full_two(verdict=INVALID),
        make_measurement(procs=2, verdict=SKIPPED),
    ],
    ids=["CPU", "one process", "INVALID", "SKIPPED"],
)
def test_where_there_is_nothing_to_explain_there_is_no_explanation(run: Measurement) -> None:
    assert explain(run, full()) is None


def test_a_run_is_explained_by_the_one_process_run_of_its_repeat() -> None:
    ones = [replace(one(iteration_ms=10.0 + n, repeat=n), record_id=f"one-{n}") for n in range(3)]
    twos = [full_two(record_id=f"two-{n}", repeat=n) for n in (1, 2, 7)]
    partners = Ratio(value=1.0, partner_ids=("gone", "one-0", "one-1", "one-2"))
    alone = Ratio(value=None)
    by_ratio = {m.record_id: partners for m in twos} | {m.record_id: alone for m in ones}
    found = explanations([*twos, *ones], by_ratio)
    against = {name: re.findall(r"against (\S+) ms", each.text)[0] for name, each in found.items()}
    assert against == {"two-1": "11", "two-2": "12", "two-7": "10"}

    slowed = replace(partners, slowed="2 do 3.00 times", reason="something slowed it")
    for each in explanations([*twos, *ones], by_ratio | {m.record_id: slowed for m in twos}).values():
        assert (each.cause, each.figures) == (Cause.UNDECIDED, {})
        assert each.text == "undecided: something slowed it, so nothing is claimed."


def test_whatever_the_figures_are_the_text_is_whole_and_begins_with_the_cause() -> None:
    causes = set()
    for seed in range(1000):
        rng = np.random.default_rng(seed)
        alone, many = random_run(rng, 1), random_run(rng, int(rng.integers(2, 9)))
        found = explained(many, alone)
        causes.add(found.cause)
        assert all(math.isfinite(value) for value in found.figures.values()), seed
        assert re.findall(r"\b(?:nan|inf|None)\b|\de[+-]|-0 ms", found.text) == [], seed
        assert found.text.endswith("."), seed
        assert found.cause is not Cause.TIME_SLICED or many.cell.mps == "off", seed
    assert causes == set(Cause), "the records at random leave out a cause"


def random_run(rng: np.random.Generator, procs: int) -> Measurement:
    """A run of any figures, many of them at a bound; a traced pass that does not fit the timed iterations."""

    def any_of(*values: float) -> float:
        return float(rng.choice(values))

    grown = float(rng.uniform(0.9, 1.3 * procs ** any_of(0.0, 0.7)))
    iteration_ms = 10.0 * grown * 10.0 ** any_of(-2, 0, 0, 0, 0, 2)
    parts = rng.choice([0.0, 0.02, 0.3, 0.9], 3) * rng.uniform(0.5, 1.0, 3)
    if rng.random() < 0.3:  # all on the GPU
        parts = np.array([0.95, 0.02, 0.0])
    running, behind, idle = (float(part) * iteration_ms for part in parts)
    run = traced_run(
        f"record-{procs}",
        procs=procs,
        mps=str(rng.choice(["off", "on"])),
        iteration_ms=iteration_ms,
        running_ms=running,
        behind_ms=behind * (procs > 1),
        idle_ms=idle,
        busy=any_of(0.0, 0.5, 0.95, 1.0),
        overlap=any_of(0.0, 0.5, 1.0),
        long=any_of(0.0, 0.2, 0.9),
        sm_fill=any_of(0.0, 0.5, 1.0) if rng.random() < 0.7 else None,
    )
    run = with_late_start(run, any_of(0.0, 0.01, 1.0) * iteration_ms)
    if rng.random() < 0.6:
        run = with_core_waits(run, *([any_of(0.0, 0.05, 0.5)] * procs))
    names = ("sm_activity", "dram_activity", "memory_utilization")
    gpu: dict[str, Any] = {name: any_of(0.0, 0.5, 0.9, 1.0) for name in names if rng.random() < 0.6}
    if rng.random() < 0.8:
        gpu["sm_clock_mhz"] = int(any_of(0, 1200, 1700, 1980, 1980))
    return with_telemetry(run, capped=any_of(0.0, 0.3, 1.0), **gpu) if rng.random() < 0.8 else run
