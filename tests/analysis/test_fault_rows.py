"""Trials taken together: what counts, what is compared with what."""

import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from mps_experiments.analysis.fault_rows import FaultRow, fault_rows
from mps_experiments.record.faults import DeviceMemory, Outcome, ServerState
from mps_experiments.record.measurement import Measurement
from mps_experiments.record.verdict import Status
from tests.fault_records import (
    FAILED,
    FINISHED,
    KILLED,
    MS,
    NOT_APPLICABLE,
    TOO_LATE,
    alone,
    faulty_run,
    make_trial,
    newcomer,
)
from tests.outputs import with_output, with_tolerance
from tests.records import MACHINE, make_measurement


def only(*measurements: Measurement) -> FaultRow:
    (row,) = fault_rows(measurements)
    return row


def later(measurement: Measurement, seconds: float = 1.0) -> Measurement:
    return replace(measurement, started_at=measurement.started_at + seconds)


def survivor(name: str, *latencies_ms: int, **more: Any) -> Measurement:
    """A trial whose survivor had these latencies."""
    return faulty_run(name, latencies_ms={0: (100,), 1: latencies_ms}, **more)


def test_ordinary_runs_have_no_row() -> None:
    assert fault_rows([alone(), make_measurement(procs=2)]) == []


def test_there_is_a_row_for_each_fault_and_state_of_mps_in_order_of_time() -> None:
    cells = [
        faulty_run(f"{kind} {mps} {number}", kind, mps=mps, number=number)
        for kind in ("kill", "exit")
        for mps in ("off", "on")
        for number in (0, 1)
    ]
    timed = [later(m, seconds) for seconds, m in enumerate(cells)]
    random.Random(0).shuffle(timed)  # noqa: S311 - an order, not a secret
    rows = fault_rows(timed)
    assert [(row.first.cell.fault, row.first.cell.mps) for row in rows] == [
        ("kill", "off"),
        ("kill", "on"),
        ("exit", "off"),
        ("exit", "on"),
    ]
    assert [[m.cell.trial for m in row.measurements] for row in rows] == [[0, 1]] * 4


@pytest.mark.parametrize(
    "other",
    [
        {"options": {"worker": 1}},
        {"options": {"at": 0.25}},
        {"options": {"newcomer_after_s": 9.0}},
        {"machine": replace(MACHINE, hostname="another")},
        {"cpu_affinity": "none"},
    ],
    ids=lambda other: str(other),
)
def test_trials_of_another_setting_are_another_row(other: dict[str, Any]) -> None:
    assert len(fault_rows([faulty_run("one"), faulty_run("two", **other)])) == 2


def test_another_number_of_trials_or_another_repeat_is_the_same_row() -> None:
    row = only(faulty_run("two", repeat=1), faulty_run("one", options={"trials": 7}))
    assert [m.record_id for m in row.measurements] == ["one", "two"]


def test_a_trial_that_never_got_workers_belongs_to_the_others() -> None:
    """What its workers would have told of CUDA is not known."""
    facts = {"cuda": "13.0", "cudnn": "91002"}
    valid = [with_facts(faulty_run(name, number=n), facts) for n, name in enumerate(("a", "b"))]
    broken = replace(faulty_run("c", number=2, verdict=TOO_LATE), workers=())
    reference = with_facts(alone(), facts)
    for order in ([broken, *valid, reference], [*valid, reference, later(broken)]):
        row = only(*order)
        assert (len(row.measurements), len(row.trials)) == (3, 2)
        assert row.reference is not None


def with_facts(measurement: Measurement, torch_facts: dict[str, str]) -> Measurement:
    workers = []
    for worker in measurement.workers:
        assert worker.facts is not None
        workers.append(replace(worker, facts=replace(worker.facts, torch_facts=torch_facts)))
    return replace(measurement, workers=tuple(workers))


def test_only_valid_trials_count() -> None:
    row = only(
        faulty_run("one"),
        faulty_run("two", number=1, trial=make_trial("kill", KILLED, FAILED)),
        faulty_run("late", number=2, verdict=TOO_LATE, trial=make_trial()),
    )
    assert (len(row.measurements), len(row.trials)) == (3, 2)
    assert row.all_others_finished == 1
    assert row.culprit_ends() == Counter({"was killed by SIGKILL": 2})
    assert row.other_ends() == Counter({FAILED.text: 1})


def test_a_skipped_cell_has_a_row_without_trials() -> None:
    row = only(faulty_run("skipped", "server_kill", verdict=NOT_APPLICABLE))
    assert row.first.verdict.status is Status.SKIPPED
    assert (row.trials, row.has_others, row.elapsed_s, row.ratio) == ((), False, None, None)
    assert (row.served, row.served_after_s, row.leftover_bytes, row.blips_s) == (0, None, None, ())


def test_a_worker_that_was_alone_has_no_others_that_could_finish() -> None:
    row = only(faulty_run("one", trial=make_trial("kill", KILLED)))
    assert not row.has_others
    assert only(faulty_run("one")).has_others


def test_the_survivors_time_is_the_median_over_the_trials_and_the_ratio_is_to_one_process() -> None:
    row = only(
        survivor("a", 100, 100, 100, 300),
        survivor("b", 100, 100, 100, 500, number=1),
        survivor("c", 100, 100, 100, 9000, number=2),
        alone(makespan_s=0.4),
    )
    assert row.elapsed_s == pytest.approx(0.8)
    assert row.ratio == pytest.approx(2.0)


def test_of_several_one_process_runs_the_median_counts() -> None:
    references = [alone(f"alone {seconds}", makespan_s=seconds) for seconds in (0.25, 0.5, 9.0)]
    row = only(faulty_run("one"), *references)
    assert row.ratio == pytest.approx(0.5 / 0.5)


def test_the_ratio_is_never_to_a_run_with_mps_in_another_state() -> None:
    row = only(faulty_run("one", mps="on"), alone(mps="off"))
    assert (row.reference, row.ratio) == (None, None)
    assert row.elapsed_s is not None


@pytest.mark.parametrize(
    "reference",
    [
        replace(alone(), verdict=TOO_LATE),
        make_measurement("two", procs=2, times=4),
        make_measurement("other times", times=5),
        alone(cpu_affinity="none"),
        alone(machine=replace(MACHINE, hostname="another")),
        faulty_run("alone but with a fault", "exit"),
    ],
    ids=["not valid", "two processes", "other times", "not pinned", "another host", "with a fault"],
)
def test_the_ratio_is_to_a_valid_ordinary_run_of_one_process_with_the_same_settings(
    reference: Measurement,
) -> None:
    (row, *_) = fault_rows([faulty_run("one"), later(reference)])
    assert (row.first.record_id, row.ratio) == ("one", None)


def test_where_nobody_survived_there_is_no_time_and_no_ratio() -> None:
    row = only(faulty_run("one", "server_kill", mps="on"), alone(mps="on"))
    assert row.reference is not None
    assert (row.elapsed_s, row.ratio, row.latencies_s, row.blips_s) == (None, None, (None, None, None), ())


def test_latencies_and_blips_are_taken_over_the_trials() -> None:
    row = only(
        survivor("a", 100, 100, 100, 100, 150, 100, 200),  # the fault is at 400 ms
        survivor("b", 200, 200, 600, 300, number=1),
        survivor("c", 500, number=2),
    )
    before, at, after = row.latencies_s
    assert before == pytest.approx((0.1 + 0.2) / 2), "the third had none before"
    assert at == pytest.approx(0.5), "of 200, 600 and 500 ms"
    assert after == pytest.approx((0.15 + 0.45) / 2)
    assert row.blips_s == pytest.approx((0.1, 0.4))


def states(*entries: tuple[int, dict[int, str] | str]) -> tuple[ServerState, ...]:
    """Server states at milliseconds; a text is why there was no answer."""
    return tuple(
        ServerState(at_ns=at * MS, servers={}, no_answer=said)
        if isinstance(said, str)
        else ServerState(at_ns=at * MS, servers=said)
        for at, said in entries
    )


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (states((10, {7: "ACTIVE"})), "ACTIVE"),
        (states((10, {}), (300, {7: "ACTIVE"})), "ACTIVE"),
        (
            states((10, {7: "ACTIVE"}), (410, {}), (500, {9: "ACTIVE"})),
            "ACTIVE > no server > ACTIVE (new)",
        ),
        (states((10, {7: "ACTIVE"}), (410, {7: "FAULT"}), (500, {7: "ACTIVE"})), "ACTIVE > FAULT > ACTIVE"),
        (states((10, {7: "ACTIVE"}), (410, "gone")), "ACTIVE > no daemon"),
        (states((10, {7: "ACTIVE"}), (410, "gone"), (500, "gone for good")), "ACTIVE > no daemon"),
        (states((410, {9: "ACTIVE"})), "ACTIVE (new)"),
    ],
)
def test_what_became_of_the_server_is_told_from_the_fault_on(
    seen: tuple[ServerState, ...], words: str
) -> None:
    row = only(faulty_run("one", trial=make_trial(server_states=seen)), faulty_run("silent", number=1))
    assert row.server_states() == Counter({words: 1})


def test_new_clients_are_counted_with_the_time_until_they_were_served() -> None:
    came = [
        newcomer(500, 700),  # served half way
        newcomer(500, 900, attached=False, failures=("refused", "refused again")),
        newcomer(500, 900, served_ns=None, attached=None, failures=("refused",)),
        None,
    ]
    row = only(*(faulty_run(str(n), number=n, trial=make_trial(came=each)) for n, each in enumerate(came)))
    assert row.served == 2
    assert row.served_after_s == pytest.approx(0.15)
    assert row.fell_back == 1
    assert row.refused() == Counter({"refused": 2, "refused again": 1})


def test_of_memory_left_over_the_most_counts() -> None:
    left = [DeviceMemory(before=10, workers_gone=50, end=end) for end in (10, 17, 12)]
    row = only(*(faulty_run(str(n), number=n, trial=make_trial(memory=m)) for n, m in enumerate(left)))
    assert row.leftover_bytes == 7


def test_a_worker_that_stalled_says_so_beside_what_it_saw() -> None:
    stalled = replace(FINISHED, outcome=Outcome.STALLED, ended_ns=1, text="no iteration finished for 1 s")
    row = only(faulty_run("one", trial=make_trial("kill", KILLED, stalled)))
    assert row.other_ends() == Counter({"stalled: no iteration finished for 1 s": 1})


def test_survivors_outputs_are_compared_with_those_of_the_process_that_was_alone() -> None:
    same, other = (with_output(faulty_run(n, number=i), *v) for i, (n, v) in enumerate(OUTPUTS.items()))
    row = only(same, other, with_output(alone(), 1.0, 2.0))
    assert [difference.within_tolerance for difference in row.output_differences()] == [True, False]
    assert row.output_differences()[0].identical


OUTPUTS = {"same": (1.0, 2.0), "other": (1.0, 2.5)}


def test_outputs_are_compared_as_tolerantly_as_the_run_says() -> None:
    trial = with_tolerance(with_output(faulty_run("one"), 1.0, 2.5), 0.5, 0.0)
    (difference,) = only(trial, with_output(alone(), 1.0, 2.0)).output_differences()
    assert difference.within_tolerance


@pytest.mark.parametrize(
    "others",
    [(), (alone(),), (with_output(alone(mps="on"), 1.0),)],
    ids=["nobody", "no output", "another state of MPS"],
)
def test_without_a_comparable_output_nothing_is_compared(others: tuple[Measurement, ...]) -> None:
    assert only(with_output(faulty_run("one"), 1.0), *others).output_differences() == []
